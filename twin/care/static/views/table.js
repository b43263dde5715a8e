// Devices and quarantine: the server's own table again, now and then, while somebody looks.
const EVERY_MS = 4000;

export function open() {
  let asked = performance.now();

  async function told(name) {
    if (name !== "hb" || document.hidden || performance.now() - asked < EVERY_MS) return;
    asked = performance.now();
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [old, fresh] = [document, page].map((of) => of.getElementById("fresh"));
    if (fresh === null || old.innerHTML === fresh.innerHTML || old.contains(document.activeElement)) return;
    old.replaceChildren(...fresh.childNodes);
  }

  return { told, drawn() {}, keys: { Escape: () => location.assign("/") } };
}
