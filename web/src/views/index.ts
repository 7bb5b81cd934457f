// All views, in the order of the rail. A new view is one file and one line here.

import type { View } from "../frame/view";
import { agents } from "./agents";
import { alerts } from "./alerts";
import { board } from "./board";
import { flow } from "./flow";
import { history } from "./history";
import { memory } from "./memory";
import { overview } from "./overview";
import { requests } from "./requests";
import { sources } from "./sources";
import { streams } from "./streams";
import { tokens } from "./tokens";

export const views: readonly View[] = [overview, alerts, history, requests, tokens, memory, agents, streams, sources, flow];
export { board };
