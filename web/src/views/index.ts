// All views, in the order of the rail. A new view is one file and one line here.

import type { View } from "../frame/view";
import { board } from "./board";
import { overview } from "./overview";
import { streams } from "./streams";

export const views: readonly View[] = [overview, streams];
export { board };
