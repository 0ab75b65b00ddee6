/* Plans: a text is checked as it is typed, and an incident is tried as it is filled in. */
(() => {
  "use strict";
  const PAUSE = 450; /* after the last key, before it is looked up */
  const csrf = () => document.querySelector('meta[name="csrf"]').content;

  /* Asks for a piece of the page; only the answer to the last question is shown. */
  const asker = (into, offline) => {
    let asked = 0, timer = 0;
    const ask = async (url, body, type) => {
      const turn = ++asked;
      into.setAttribute("aria-busy", "true");
      try {
        const answer = await fetch(url, {
          method: "POST", credentials: "same-origin", body, headers: { "Content-Type": type, "X-CSRF-Token": csrf(), Accept: "text/html" },
        });
        const text = await answer.text();
        if (turn !== asked) return;
        into.innerHTML = text;
        window.muster.localise(into);
      } catch {
        if (turn === asked) window.muster.toast(offline, "bad");
      } finally {
        if (turn === asked) into.removeAttribute("aria-busy");
      }
    };
    return { now: ask, soon: (...what) => { clearTimeout(timer); timer = setTimeout(() => ask(...what), PAUSE); } };
  };

  const checking = (page) => {
    const text = page.querySelector("[data-text]");
    const lines = page.querySelector(".lines");
    const file = page.querySelector("[data-file]");
    const found = document.getElementById("found");
    const { now, soon } = asker(found, page.dataset.offline);
    const number = () => {
      const count = text.value.split("\n").length;
      lines.textContent = Array.from({ length: count }, (_, line) => line + 1).join("\n");
      lines.scrollTop = text.scrollTop;
    };
    const look = (ask) => { if (text.value.trim()) ask(page.dataset.check, text.value, "text/plain"); };
    const read = async (chosen) => {
      text.value = await chosen.text();
      number();
      look(now);
    };
    text.addEventListener("input", () => { number(); look(soon); });
    text.addEventListener("scroll", () => { lines.scrollTop = text.scrollTop; });
    page.querySelector("[data-check-now]").addEventListener("click", () => look(now));
    file.addEventListener("change", () => { if (file.files.length) read(file.files[0]); });
    page.addEventListener("dragover", (event) => { event.preventDefault(); page.classList.add("dropping"); });
    page.addEventListener("dragleave", () => page.classList.remove("dropping"));
    page.addEventListener("drop", (event) => {
      event.preventDefault();
      page.classList.remove("dropping");
      if (event.dataTransfer.files.length) read(event.dataTransfer.files[0]);
    });
    found.addEventListener("click", (event) => {
      const link = event.target.closest("[data-line]");
      if (!link) return;
      const line = Number(link.dataset.line);
      const before = text.value.split("\n").slice(0, line - 1);
      const start = before.join("\n").length + (line > 1 ? 1 : 0);
      const end = text.value.indexOf("\n", start);
      text.focus();
      text.setSelectionRange(start, end < 0 ? text.value.length : end);
      text.scrollTop = Math.max(0, (line - 6) * (text.scrollHeight / text.value.split("\n").length));
    });
    number();
  };

  const trying = (form) => {
    const { now, soon } = asker(document.getElementById("would"), form.dataset.offline);
    const area = form.querySelector("[data-area]");
    const look = (ask) => {
      const place = area.value.trim();
      form.elements["report.areas"].value = place ? JSON.stringify([{ description: place }]) : "";
      ask(form.dataset.try, JSON.stringify(window.muster.body(form).report ?? {}), "application/json");
    };
    form.addEventListener("input", () => look(soon));
    look(now);
  };

  document.addEventListener("DOMContentLoaded", () => {
    const check = document.querySelector(".check-page");
    if (check) checking(check);
    const form = document.querySelector(".try-page");
    if (form) trying(form);
  });
})();
