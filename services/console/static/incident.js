/* The incident page: dialogs made when they are asked for, what came of a decision, curves, and the two views. */
(() => {
  "use strict";
  const DECIDED_WITHIN = 15_000;
  const ASK_AGAIN = [600, 2_000, 5_000, 9_000, DECIDED_WITHIN]; /* ms after sending, should the stream be silent */
  document.addEventListener("DOMContentLoaded", () => {
    const page = document.getElementById("incident");
    if (!page) return;
    const words = page.dataset;

    /* Two views of the same orders. */
    const tabs = [...document.querySelectorAll("[role=tab][data-show]")];
    const show = (tab) => {
      page.dataset.view = tab.dataset.show;
      for (const each of tabs) {
        each.setAttribute("aria-selected", String(each === tab));
        each.tabIndex = each === tab ? 0 : -1;
      }
    };
    for (const tab of tabs) {
      tab.addEventListener("click", () => show(tab));
      tab.addEventListener("keydown", (event) => {
        if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
        const other = tabs[(tabs.indexOf(tab) + 1) % tabs.length];
        show(other);
        other.focus();
      });
    }
    document.addEventListener("click", (event) => {
      if (event.target.closest(".graph a")) show(tabs[0]);
    });

    /* A dialog is fetched when it is asked for, so that it shows what is the case now. */
    document.addEventListener("click", async (event) => {
      const asking = event.target.closest("[data-ask]");
      if (!asking) return;
      const { ask, ...wanted } = asking.dataset;
      asking.disabled = true;
      try {
        const answer = await fetch(`${words.askAt}${ask}?${new URLSearchParams(wanted)}`, { headers: { Accept: "text/html" } });
        if (!answer.ok) throw new Error(answer.statusText);
        const slot = document.getElementById("asked");
        slot.innerHTML = await answer.text();
        const dialog = slot.querySelector("dialog");
        const plans = dialog.querySelector("[data-levels-for]");
        if (plans) levels(plans);
        dialog.showModal();
        dialog.querySelector("input:not([type=hidden], :checked, :disabled), select, textarea")?.focus();
        dialog.addEventListener("close", () => document.getElementById(asking.id)?.focus());
      } catch {
        window.muster.toast(document.body.dataset.offline, "bad");
      } finally {
        asking.disabled = false;
      }
    });
    const levels = (plans) => {
      const into = document.getElementById(plans.dataset.levelsFor);
      into.length = 1;
      for (const name of (plans.selectedOptions[0]?.dataset.levels ?? "").split(" ").filter(Boolean)) into.add(new Option(name, name));
    };
    document.addEventListener("change", (event) => {
      if (event.target.matches("[data-levels-for]")) levels(event.target);
    });
    document.addEventListener("input", (event) => {
      if (!event.target.matches("[data-narrow]")) return;
      const wanted = event.target.value.trim().toLowerCase();
      for (const choice of event.target.parentElement.querySelectorAll("label.check")) {
        choice.hidden = !choice.textContent.toLowerCase().includes(wanted) && !choice.querySelector("input").checked;
      }
    });

    /* What came of it: the stream says that something happened, the record says what was decided about this one. */
    const open = new Map();
    const look = async (id) => {
      const sent = open.get(id);
      if (!sent || sent.asking) return;
      sent.asking = true;
      try {
        const answer = await fetch(`${words.decisions}${id}`, { headers: { Accept: "application/json" } });
        if (answer.ok && open.delete(id)) {
          const { outcome, reason } = await answer.json();
          const bad = outcome === "refused" || outcome === "invalid";
          window.muster.toast(`${bad ? words.refused : words.done}: ${sent.title}. ${reason}`, bad ? "bad" : "good");
        }
      } catch { /* it is asked again */ } finally {
        sent.asking = false;
      }
      if (open.has(id) && Date.now() - sent.at >= DECIDED_WITHIN) {
        open.delete(id);
        window.muster.toast(words.late, "bad");
      }
    };
    document.addEventListener("muster:sent", (event) => {
      const id = event.detail.event_id;
      if (!id) return;
      open.set(id, { at: Date.now(), title: event.target.querySelector("h2")?.textContent ?? "" });
      for (const after of ASK_AGAIN) setTimeout(() => look(id), after);
    });
    const others = JSON.parse(words.others);
    document.body.addEventListener("muster:entry", (event) => {
      const { incident_id: incident, entry, by, reason } = event.detail;
      if (incident !== words.incident) return;
      for (const id of open.keys()) look(id);
      if (by && by !== words.me && others[entry]) window.muster.toast([`${by}: ${others[entry]}`, reason].filter(Boolean).join(". "));
    });

    /* A moment in the past is typed in the reader's own time. */
    document.addEventListener("submit", (event) => {
      const local = event.target.querySelector?.("[data-local]");
      if (local) event.target.elements.as_of.value = new Date(local.value).toISOString();
    });

    /* Curves: the share of the orders given so far. */
    const told = JSON.parse(words.words);
    const plot = document.getElementById("plot");
    const shown = [["received", "--grey", [2, 3]], ["acknowledged", "--amber", [6, 3]], ["committed", "--accent", []], ["completed", "--green", []]];
    let chart;
    const points = () => JSON.parse(document.querySelector("#curves [data-points]")?.dataset.points ?? "[]");
    const columns = () => {
      const found = points();
      return [found.map((p) => Date.parse(p.at) / 1000), ...shown.map(([name]) => found.map((p) => (p.issued ? (100 * p[name]) / p.issued : null)))];
    };
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const redraw = () => {
      chart?.destroy();
      chart = undefined;
      const data = columns();
      if (!window.uPlot || data[0].length < 2) return;
      const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "12px system-ui" };
      chart = new window.uPlot({
        width: plot.parentElement.clientWidth - 32, height: 200,
        scales: { y: { range: [0, 100] } },
        axes: [{ ...axis, values: (_, at) => at.map((s) => new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hour12: false }).format(s * 1000)) },
          { ...axis, size: 56, values: (_, at) => at.map((v) => `${v} %`) }],
        series: [{ label: told.time, value: (_, s) => (s == null ? "–" : new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium", hour12: false }).format(s * 1000)) },
          ...shown.map(([name, tint, dash]) => ({ label: told[name], stroke: colour(tint), width: name === "completed" ? 3 : 2, dash, paths: window.uPlot.paths.stepped({ align: 1 }), points: { show: false }, value: (_, v) => (v == null ? "–" : `${Math.round(v)} %`) }))],
      }, data, plot);
    };
    redraw();
    document.body.addEventListener("htmx:afterSettle", (event) => {
      if (event.detail.target.id !== "curves") return;
      if (chart && columns()[0].length > 1) chart.setData(columns());
      else redraw();
    });
    new ResizeObserver(() => chart?.setSize({ width: plot.parentElement.clientWidth - 32, height: 200 })).observe(plot.parentElement);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  });
})();
