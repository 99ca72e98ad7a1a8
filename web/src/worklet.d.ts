/** What the audio thread offers and TypeScript's DOM library leaves out (Web Audio API, AudioWorkletGlobalScope). */
declare const sampleRate: number;
declare const currentTime: number;

declare class AudioWorkletProcessor {
  readonly port: MessagePort;
  constructor(options?: AudioWorkletNodeOptions);
}

declare function registerProcessor(
  name: string,
  processor: new (options: AudioWorkletNodeOptions) => {
    process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean;
  },
): void;
