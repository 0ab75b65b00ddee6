/* People and tokens: shows once what is told once, and asks for departments only where they matter. */
(() => {
  "use strict";
  const needs = (form) => {
    const part = form.querySelector("[data-needs]");
    if (!part) return;
    const box = form.querySelector(`input[type="checkbox"][value="${part.dataset.needs}"]:not([name="departments"])`);
    const wanted = Boolean(box?.checked);
    part.hidden = !wanted;
    if (!wanted) for (const field of part.querySelectorAll("input[type=checkbox]")) field.checked = false;
  };
  const every = (scope) => { for (const form of scope.querySelectorAll("form[data-send]")) needs(form); };
  document.addEventListener("change", (event) => { if (event.target.form) needs(event.target.form); });
  document.addEventListener("reset", (event) => setTimeout(() => needs(event.target)));
  document.addEventListener("htmx:load", (event) => every(event.detail.elt.parentElement ?? document));
  document.addEventListener("DOMContentLoaded", () => every(document));

  const dialog = document.getElementById("secret");
  document.addEventListener("muster:sent", (event) => {
    const told = event.detail[event.target.dataset?.shows];
    if (!told || !dialog) return;
    dialog.querySelector("[data-secret]").textContent = told;
    setTimeout(() => dialog.showModal());
  });
  dialog?.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if ("finish" in button.dataset) dialog.close();
    else {
      await navigator.clipboard.writeText(dialog.querySelector("[data-secret]").textContent);
      button.textContent = button.dataset.copied;
    }
  });
  /* The list behind it is told anew, and what was shown is gone for good. */
  dialog?.addEventListener("close", () => location.reload());
})();
