// Parts of the page that the server writes: again every 4 s, and at once when an alarm changed,
// but never while somebody is in one, unless on the button of what was just done.

/** Renews the elements of these ids when told of events. */
export function fresh(...ids) {
  let asked = performance.now();
  let acted = false;
  addEventListener("acted", () => { acted = true; told("al"); });

  async function told(name) {
    const due = name === "al" || (name === "hb" && performance.now() - asked >= 4000);
    if (!due || document.hidden) return;
    asked = performance.now();
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ids) {
      const [old, renewed] = [document, page].map((of) => of.getElementById(id));
      const inside = old.contains(document.activeElement) && document.activeElement;
      if (renewed === null || (inside && !(acted && inside.dataset.act))) continue;
      const open = [...old.querySelectorAll("details")].map((one) => one.open);
      renewed.querySelectorAll("details").forEach((one, i) => { one.open = open[i]; });
      if (old.innerHTML === renewed.innerHTML) continue;
      old.replaceChildren(...renewed.childNodes);
      if (inside) old.querySelector("[data-act]")?.focus();
    }
    acted = false;
  }
  return told;
}
