import { about } from "./about.js";

const plurals = new Intl.PluralRules(about.language);

/** The text of a key with its {parts} filled in. */
export function t(key, parts = {}) {
  const text = about.words[key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(parts[name]));
}

/** `key`_one or _other. */
export function plural(key, n) {
  return t(`${key}_${plurals.select(n) === "one" ? "one" : "other"}`, { n });
}
