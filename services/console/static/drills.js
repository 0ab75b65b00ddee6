/* Drills: the scenario's clock runs on between two looks at the server, and one dialog serves many rows. */
(() => {
  "use strict";
  const pad = (n) => String(n).padStart(2, "0");
  const show = (seconds) => {
    const s = Math.max(0, Math.round(seconds));
    return `T+${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
  };
  const seen = new WeakMap();
  setInterval(() => {
    for (const el of document.querySelectorAll("[data-elapsed]")) {
      if (!seen.has(el)) seen.set(el, performance.now());
      const passed = el.closest("[data-paused]") ? 0 : ((performance.now() - seen.get(el)) / 1000) * Number(el.dataset.speed);
      const text = show(Math.min(Number(el.dataset.elapsed) + passed, Number(el.dataset.most)));
      if (el.textContent !== text) el.textContent = text;
    }
  }, 200);
  /* A button names the dialog it opens (app.js does that) and what its fields shall hold. */
  document.addEventListener("click", (event) => {
    const el = event.target.closest("[data-fill]");
    if (!el) return;
    const dialog = document.getElementById(el.dataset.open);
    for (const [name, value] of Object.entries(JSON.parse(el.dataset.fill))) {
      for (const field of dialog.querySelectorAll(`[name="${name}"]`)) field.value = value;
      for (const text of dialog.querySelectorAll(`[data-text="${name}"]`)) text.textContent = value;
      for (const form of dialog.querySelectorAll(`form[data-to*="{${name}}"]`)) {
        form.dataset.send = form.dataset.to.replace(`{${name}}`, encodeURIComponent(value));
      }
    }
  });
  /* A zip goes to the API as it is. */
  document.addEventListener("change", async (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || !input.dataset.upload || !input.files.length) return;
    const problem = document.getElementById(input.dataset.problem);
    problem.textContent = "";
    try {
      const { ok, told } = await window.muster.send("POST", input.dataset.upload, input.files[0], { type: "application/zip" });
      if (ok) location.assign(input.dataset.then.replace("{id}", told.id));
      else problem.textContent = told.detail ?? told.title ?? "?";
    } catch {
      problem.textContent = document.body.dataset.offline;
    } finally {
      input.value = "";
    }
  });
})();
