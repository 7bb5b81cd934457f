import "uplot/dist/uPlot.min.css";
import "./theme/tokens.css";
import "./theme/base.css";
import "./theme/frame.css";
import "./theme/panel.css";
import "./theme/charts.css";
import { render } from "preact";
import { App, type Boot } from "./data/app";
import { HALVES } from "./format/time";
import { AppContext } from "./frame/context";
import { Shell } from "./frame/Shell";
import { readAddress } from "./frame/view";
import { startTheme } from "./theme/theme";
import { board, views } from "./views";

/** Until an empty frame is drawn. */
const FRAME_MS = 150;

const boot = JSON.parse(document.querySelector<HTMLMetaElement>('meta[name="hxp"]')?.content ?? "{}") as Boot;
const app = new App(boot);
startTheme();
if (HALVES) document.documentElement.dataset["clock"] = "12";
readAddress(boot.home, app.moment);
app.start();
// The first answer is on its way already: drawn once with it, not before it and again. What takes longer has its frame meanwhile.
const late = setTimeout(draw, FRAME_MS);
const ends = app.booted.subscribe((known) => known && draw());

function draw(): void {
  clearTimeout(late);
  ends();
  render(
    <AppContext.Provider value={app}>
      <Shell views={views} board={board} />
    </AppContext.Provider>,
    document.querySelector("#app") as HTMLElement,
  );
}
// What tests and `make bench` measure; nothing in the page reads it.
Object.assign(globalThis, { hxp: app });
