// A part of the page that the server writes: its own again, now and then, and at once when an alarm
// changed, but never while somebody is in it.
const EVERY_MS = 4000;

/** Told of each event, it renews the element of this id. */
export function fresh(id) {
  let asked = performance.now();
  let again = false;

  return async function told(name) {
    const due = name === "al" || (performance.now() - asked >= EVERY_MS && (name === "hb" || again));
    if (!due || document.hidden) return;
    asked = performance.now();
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [old, renewed] = [document, page].map((of) => of.getElementById(id));
    again = old.contains(document.activeElement);
    if (renewed === null || old.innerHTML === renewed.innerHTML || again) return;
    old.replaceChildren(...renewed.childNodes);
  };
}
