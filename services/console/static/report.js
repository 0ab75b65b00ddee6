/* The report form: what would follow is looked up as it is typed, and an alert is sent byte for byte. */
(() => {
  "use strict";
  const muster = window.muster;
  const PAUSE = 350; /* after the last key, before it is looked up */
  const csrf = () => document.querySelector('meta[name="csrf"]').content;
  document.addEventListener("DOMContentLoaded", () => {
    const page = document.querySelector(".report-page");
    const preview = document.getElementById("preview");
    const form = document.getElementById("by-form");
    const cap = document.getElementById("by-cap");

    /* Looking up. Only the answer to the last question is shown. */
    let asked = 0, timer = 0;
    const ask = async (body, type) => {
      const turn = ++asked;
      preview.setAttribute("aria-busy", "true");
      try {
        const answer = await fetch(page.dataset.preview, {
          method: "POST", credentials: "same-origin", body, headers: { "Content-Type": type, "X-CSRF-Token": csrf(), Accept: "text/html" },
        });
        const text = await answer.text();
        if (turn !== asked) return;
        preview.innerHTML = text;
        muster.localise(preview);
        const sum = preview.querySelector("[data-summary]")?.textContent ?? "";
        for (const el of document.querySelectorAll("[data-sum]")) el.textContent = sum;
        measure(preview.querySelector("[data-asks]")?.dataset.asks.split(" ").filter(Boolean) ?? null);
      } catch {
        if (turn !== asked) return;
        const lost = document.createElement("p");
        lost.className = "note warn";
        lost.textContent = page.dataset.offline;
        if (!preview.querySelector(".note.warn")) preview.prepend(lost);
      } finally {
        if (turn === asked) preview.removeAttribute("aria-busy");
      }
    };
    const soon = (look) => { clearTimeout(timer); timer = setTimeout(look, PAUSE); };

    /* Figures are asked for when a plan decides by them; what is filled in stays. */
    const measure = (asks) => {
      if (asks === null) return;
      let shown = 0;
      for (const field of form.querySelectorAll("[data-measure]")) {
        const input = field.querySelector("input");
        const wanted = asks.includes(field.dataset.measure) || input.value !== "";
        field.hidden = input.disabled = !wanted;
        shown += Number(wanted);
      }
      form.querySelector("[data-none]").hidden = shown > 0;
    };

    const areas = form.querySelector("[data-areas]");
    const told = () => {
      const lines = areas.value.split("\n").map((line) => line.trim()).filter(Boolean);
      form.elements.areas.value = lines.length ? JSON.stringify(lines.map((description) => ({ description }))) : "";
    };
    const enough = () => form.querySelector('[name="categories"]:checked') || form.elements.event.value.trim();
    const look = () => { if (enough()) ask(JSON.stringify(muster.body(form)), "application/json"); };
    form.addEventListener("input", () => { told(); soon(look); });
    form.addEventListener("click", (event) => {
      const ago = event.target.closest("[data-ago]");
      if (!ago) return;
      const at = new Date(Date.now() - Number(ago.dataset.ago) * 60_000);
      const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
      form.elements.occurred_at.value = local.toISOString().slice(0, 16);
      soon(look);
    });
    const kinds = [...form.querySelectorAll('[name="categories"]')];
    const required = () => { for (const kind of kinds) kind.required = kind === kinds[0] && !kinds.some((each) => each.checked); };
    form.addEventListener("change", required);
    required();
    told();

    /* A CAP alert: the pasted text, or a file's own bytes. */
    const text = cap.querySelector("[data-cap-text]");
    const name = cap.querySelector("[data-cap-name]");
    const problem = cap.querySelector(".problem");
    let file = null, key = crypto.randomUUID();
    const alert = () => file ?? (text.value.trim() ? new Blob([text.value]) : null);
    const changed = () => {
      key = crypto.randomUUID();
      problem.textContent = "";
      const body = alert();
      if (body) soon(() => ask(body, "application/xml"));
    };
    const take = async (taken) => {
      file = taken;
      name.textContent = `${taken.name} (${taken.size} B)`;
      text.value = await taken.text();
      changed();
    };
    text.addEventListener("input", () => { file = null; name.textContent = ""; changed(); });
    cap.querySelector("[data-cap-file]").addEventListener("change", (event) => { if (event.target.files[0]) take(event.target.files[0]); });
    for (const kind of ["dragenter", "dragover"]) cap.addEventListener(kind, (event) => { event.preventDefault(); text.classList.add("dropping"); });
    for (const kind of ["dragleave", "drop"]) cap.addEventListener(kind, () => text.classList.remove("dropping"));
    cap.addEventListener("drop", (event) => {
      event.preventDefault();
      const dropped = event.dataTransfer.files[0];
      if (dropped) take(dropped);
      else { text.value = event.dataTransfer.getData("text"); file = null; changed(); }
    });
    let busy = false;
    cap.addEventListener("submit", async (event) => {
      event.preventDefault();
      const body = alert();
      if (busy || !body) return;
      busy = true;
      problem.textContent = "";
      try {
        const { ok, told: answer } = await muster.send("POST", cap.dataset.cap, body, { key, type: "application/xml" });
        if (ok) location.assign(cap.dataset.then + encodeURIComponent(answer.incident_id));
        else problem.textContent = `${answer.title ?? ""}: ${answer.detail ?? ""}`;
      } catch {
        problem.textContent = document.body.dataset.offline;
      } finally {
        busy = false;
      }
    });

    /* Tabs. */
    const tabs = [...document.querySelectorAll('[role="tab"]')];
    const choose = (tab) => {
      for (const each of tabs) {
        const chosen = each === tab;
        each.setAttribute("aria-selected", String(chosen));
        each.tabIndex = chosen ? 0 : -1;
        document.getElementById(each.getAttribute("aria-controls")).hidden = !chosen;
      }
      if (tab.id === "tab-form") look(); else if (alert()) ask(alert(), "application/xml");
    };
    for (const tab of tabs) {
      tab.addEventListener("click", () => choose(tab));
      tab.addEventListener("keydown", (event) => {
        if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
        const other = tabs[1 - tabs.indexOf(tab)];
        choose(other);
        other.focus();
      });
    }
  });
})();
