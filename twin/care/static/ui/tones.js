// The tones themselves: loaded when somebody turns the sound on.

/** What a burst is: [Hz, s after its beginning]. */
const BURSTS = {
  high: [[880, 0], [880, 0.25], [880, 0.5], [660, 0.9], [660, 1.15]],
  medium: [[660, 0], [660, 0.3], [660, 0.6]],
  lost: [[440, 0], [330, 0.4]],
};

let context = null;

export function open() {
  context = new AudioContext();
}

export function close() {
  context.close();
}

/** Sound one: a priority, or "lost". */
export function burst(kind) {
  context.resume();
  for (const [hertz, after] of BURSTS[kind]) {
    const [tone, loud] = [context.createOscillator(), context.createGain()];
    const at = context.currentTime + after;
    tone.frequency.value = hertz;
    loud.gain.setValueAtTime(0, at);
    loud.gain.linearRampToValueAtTime(0.4, at + 0.02);
    loud.gain.linearRampToValueAtTime(0, at + 0.18);
    tone.connect(loud).connect(context.destination);
    tone.start(at);
    tone.stop(at + 0.2);
  }
}
