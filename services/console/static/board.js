/* The board, alive: rows are swapped and put in order as the stream tells; where the focus is, it stays. */
(() => {
  "use strict";
  const list = () => document.getElementById("incidents");
  const made = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.content.firstElementChild;
  };
  const rowOf = (id) => list().querySelector(`[data-id="${CSS.escape(id)}"]`);

  /* A moved or replaced row takes the focus with it: to the same link of the same incident. */
  const keepingFocus = (change) => {
    const active = document.activeElement;
    const row = active?.closest?.("[data-id]");
    const id = row?.dataset.id;
    const place = row ? [...row.querySelectorAll("a, button")].indexOf(active) : -1;
    change();
    if (!id || document.activeElement === active) return;
    const now = rowOf(id);
    now?.querySelectorAll("a, button")[Math.max(place, 0)]?.focus({ preventScroll: true });
  };

  const refresh = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("incidents");
    if (!fresh) return;
    keepingFocus(() => list().replaceChildren(...fresh.children));
    window.muster.localise(list());
  };

  const waiting = new Map();
  const show = (board) => {
    if (board.html) {
      const row = made(board.html);
      const known = rowOf(board.id);
      if (known) keepingFocus(() => known.replaceWith(row));
      else {
        row.classList.add("new");
        waiting.set(board.id, row);
      }
      window.muster.localise(row);
      return;
    }
    const rows = list();
    keepingFocus(() => {
      let missing = false;
      board.order.forEach((id, place) => {
        const row = rowOf(id) ?? waiting.get(id);
        if (!row) missing = true;
        else if (rows.children[place] !== row) rows.insertBefore(row, rows.children[place] ?? null);
      });
      waiting.clear();
      while (rows.children.length > board.order.length && !missing) rows.lastElementChild.remove();
      if (missing) refresh();
    });
    for (const [name, count] of Object.entries(board.counts)) {
      for (const el of document.querySelectorAll(`[data-count="${name}"]`)) {
        el.textContent = count;
        const figure = el.closest("[data-none]");
        if (figure) figure.dataset.none = count ? "0" : "1";
      }
    }
    const set = (selector, text) => { for (const el of document.querySelectorAll(selector)) el.textContent = text; };
    set("[data-shown]", board.order.length);
    set("[data-total]", board.total);
    set("[data-exercises]", board.exercises);
    const hide = (id, hidden) => { const el = document.getElementById(id); if (el) el.hidden = hidden; };
    hide("none", board.order.length > 0);
    hide("more", board.total <= board.order.length);
    hide("exercises", !board.exercises);
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.body.addEventListener("muster:entry", (event) => { if (event.detail.board) show(event.detail.board); });
    const clock = document.querySelector("[data-now]");
    if (clock) {
      const form = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
      const tell = () => { clock.textContent = form.format(window.muster.now()); };
      tell();
      setInterval(tell, 1_000);
    }
    for (const field of document.querySelectorAll(".filters select")) {
      field.form.querySelector("button").hidden = true;
      field.addEventListener("change", () => field.form.requestSubmit());
    }
  });

  /* Within the list j and k go from incident to incident; Enter opens, as on every link. Elsewhere a letter is a letter. */
  document.addEventListener("keydown", (event) => {
    const step = { j: 1, k: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey || !list()?.contains(document.activeElement)) return;
    const links = [...list().querySelectorAll("h2 a")];
    const at = links.findIndex((link) => link.closest("[data-id]").contains(document.activeElement));
    links[Math.min(Math.max(at + step, 0), links.length - 1)].focus();
    event.preventDefault();
  });
})();
