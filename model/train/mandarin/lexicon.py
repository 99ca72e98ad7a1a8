"""The words of kitten's world in Mandarin: the slots of the English `lexicon.py`, in the same order where they are translations."""

from __future__ import annotations

from vivavoce.model.train import lexicon as english

NUMBERS = tuple("零 一 二 三 四 五 六 七 八 九 十 十一 十二 十三 十四 十五 十六 十七 十八 十九 二十".split())
"""0..20 as they are counted; before a measure word 2 is 两 (`words.quantity`)."""

COLOURS = dict(zip("红色 绿色 蓝色 黄色 橙色 紫色 黑色 白色".split(), english.COLOURS, strict=True))
"""Mandarin to the English name that scenes know."""

SHAPES = dict(zip("圆形 正方形 三角形 星形 十字形".split(), english.SHAPES, strict=True))

NAMES = (
    "小明 小红 小丽 小刚 小华 小芳 小军 小雨 小兰 小龙 大伟 建国 志强 文静 雪梅 海燕 春花 天宇 晓东 思远 "
    "美玲 佳佳 婷婷 娜娜 丹丹 欢欢 乐乐 阳阳 明明 圆圆 王芳 李娜 张伟 刘洋 陈晨 杨帆 赵磊 周杰 吴刚 林琳"
).split()

FACTS: dict[str, tuple[str, ...]] = {
    "颜色": tuple("红色 绿色 蓝色 黄色 橙色 紫色 黑色 白色 粉色 棕色 灰色".split()),
    "动物": tuple("猫 狗 马 兔子 老虎 狮子 猴子 大象 小鸟 金鱼 老鼠 熊".split()),
    "食物": tuple("比萨 米饭 面包 汤 巧克力 奶酪 面条 沙拉 蛋糕 饺子".split()),
    "城市": tuple("北京 上海 巴黎 伦敦 柏林 罗马 东京 广州 西安 成都".split()),
    "数字": NUMBERS[1:13],
    "水果": tuple("苹果 香蕉 橙子 柠檬 樱桃 西瓜 桃子 葡萄".split()),
}

ADJECTIVES = "大 小 旧 新 好 快乐 冷 暖和 长 快 慢 干净 黑暗 漂亮".split()
NOUNS = (
    "猫 狗 马 鸟 鱼 房子 树 汽车 门 窗户 桌子 椅子 书 水 河 山 花 花园 苹果 香蕉 比萨 面包 蛋糕 早上 晚上 夏天 冬天 "
    "朋友 老师 医生 音乐 学校 火车 轮船 小船"
).split()
VERBS = "跑步 睡觉 跳舞 唱歌 等待 读书 游泳 走路 玩耍 吃饭".split()
PLACES = "在家里 在河边 在树下 在桌子上 在门口 在花园里 在学校 在船上 在车里".split()

UNKNOWN_TOPICS = (
    "明天的天气 法国的首都 黄金的价格 今天的新闻 东京的时间 最高的山 人生的意义 光的速度 最好的电影 中国的人口 "
    "比赛的比分 总统的名字 今天的股票 月亮的距离 面包的做法 九的平方根"
).split()
UNKNOWN_QUESTIONS = (
    "红楼梦是谁写的 谁是总统 昨天晚上谁赢了比赛 蒙娜丽莎是谁画的 拿破仑是什么时候出生的 火车什么时候开 战争什么时候结束的 "
    "最近的酒店在哪里 在哪里可以买票 你住在哪里 鸡蛋怎么煮 月亮有多远 宇宙有多少岁 这座塔有多高 天空为什么是蓝色的 鸟为什么会飞 "
    "海水为什么是咸的 你会开车吗 你能叫一辆出租车吗 你能放点音乐吗 你能给我妈妈打电话吗 你能打开窗户吗 你能写一封信吗 "
    "给我讲个笑话 给我讲个故事 唱一首歌 把灯打开 定一个七点的闹钟 给我的老板发个消息 订一张两个人的桌子 你喜欢足球吗 "
    "你知道什么笑话吗 现在几点了 今天星期几 我应该穿什么 一套房子多少钱 哪个球队最好 解释一下量子物理 给我读读报纸 "
    "给我一些建议 你结婚了吗 现在堵车吗 今天晚上电视上有什么 你相信有鬼吗 附近有饭馆吗 地铁站怎么走"
).split()
HELD_OUT_UNKNOWN = (
    "西班牙的首都是哪里 谁发现了美洲 下一个假期是什么时候 我的手机在哪里 飞机是怎么飞的 猫为什么睡那么久 你能修我的电脑吗 "
    "给我讲讲大海 太阳有多热 谁是英国的国王 最快的车是什么 你喜欢爵士乐吗 把暖气关掉 医生怎么说 印度有多少人 哪种语言最难 "
    "你能教我跳舞吗 历史上的今天发生了什么 给我买一张去上海的票 会下雨吗"
).split()
"""Questions outside the skills that training never shows."""

TRANSLATIONS: dict[str, str] = {
    **{mandarin: name for mandarin, name in COLOURS.items()},
    **{mandarin: name for mandarin, name in SHAPES.items()},
    **dict(zip(NUMBERS, english.NUMBERS, strict=True)),
    **dict(zip(
        "猫 狗 马 兔子 老虎 狮子 猴子 大象 鸟 鱼 老鼠 熊 苹果 香蕉 柠檬 樱桃 桃子 葡萄 比萨 米饭 面包 汤 巧克力 奶酪 沙拉 蛋糕 "
        "房子 树 汽车 门 窗户 桌子 椅子 书 水 河 山 花 花园 早上 晚上 夏天 冬天 朋友 老师 医生 音乐 学校 火车 轮船 "
        "大 小 旧 新 好 冷 长 快 慢 干净 谢谢 你好 再见 "
        "粉色 棕色 灰色 巴黎 伦敦 柏林 罗马 东京".split(),
        "cat,dog,horse,rabbit,tiger,lion,monkey,elephant,bird,fish,mouse,bear,apple,banana,lemon,cherry,peach,grape,pizza,rice,bread,"
        "soup,chocolate,cheese,salad,cake,house,tree,car,door,window,table,chair,book,water,river,mountain,flower,garden,"
        "morning,night,summer,winter,friend,teacher,doctor,music,school,train,ship,"
        "big,small,old,new,good,cold,long,fast,slow,clean,thank you,hello,goodbye,"
        "pink,brown,grey,Paris,London,Berlin,Rome,Tokyo".split(","),
        strict=True,
    )),
}  # fmt: skip
"""Mandarin to English, one word for one."""
ENGLISH_TO_MANDARIN = {there: here for here, there in TRANSLATIONS.items()}

CONTENT = tuple(
    dict.fromkeys(
        [
            *NAMES,
            *(value for kind, values in FACTS.items() if kind not in ("颜色", "数字") for value in values),
            *(word for word in (*NOUNS, *VERBS) if len(word) > 1),
        ]
    )
)
"""Words that stand for nothing but themselves: whichever is told must be given back. No word of one character, but as a value of a
favourite: in a sentence without spaces it could be part of another word."""

WORDS = (*CONTENT, *(n for n in NUMBERS), *COLOURS, *SHAPES)
"""Single words any of which may take the place of any other, if a sentence need not make sense."""
