// A part of the page that the server writes: its own again, now and then, and at once when an alarm
// changed, but never while somebody is in it.
const EVERY_MS = 4000;

/** Told of each event, it renews the elements of these ids. */
export function fresh(...ids) {
  let asked = performance.now();
  let again = false;

  return async function told(name) {
    const due = name === "al" || (performance.now() - asked >= EVERY_MS && (name === "hb" || again));
    if (!due || document.hidden) return;
    asked = performance.now();
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    again = false;
    for (const id of ids) {
      const [old, renewed] = [document, page].map((of) => of.getElementById(id));
      const busy = old.contains(document.activeElement);
      again ||= busy;
      if (renewed !== null && !busy && old.innerHTML !== renewed.innerHTML) old.replaceChildren(...renewed.childNodes);
    }
  };
}
