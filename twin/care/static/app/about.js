// What the server said with the page: language, words, zone, signals, its time.
/** @type {{language: string, zone: string, speed: number, build: string, time: number,
 *   patient: string|null, words: Record<string, string>,
 *   signals: {code: string, unit: string, decimals: number, lower: number, upper: number,
 *             spot: boolean, ward: boolean, gap_s: number, least: number}[]}} */
export const about = JSON.parse(document.getElementById("about").textContent);

/** code → how it is shown, in the order of pages. */
export const signals = new Map(about.signals.map((signal) => [signal.code, signal]));
