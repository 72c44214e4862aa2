/** The layout of graphs, on a thread of its own: the page stays free meanwhile. */

import { expose } from "comlink";

import { layout } from "../pure/layout";

expose(layout);
