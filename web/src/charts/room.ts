// How wide a drawing is, and how wide its words are.

import { useEffect, useRef, useState } from "preact/hooks";
import { CHART_FONT } from "../theme/theme";

/** The width of an element in CSS pixels, 0 until it has one. */
export function useWidth<T extends HTMLElement>(): [{ current: T | null }, number] {
  const host = useRef<T>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = host.current as T;
    const sized = new ResizeObserver(() => setWidth(element.clientWidth));
    sized.observe(element);
    return () => sized.disconnect();
  }, []);
  return [host, width];
}

/** Measures texts in the fonts of charts; without a canvas (tests) by their length. */
export function measure(font = `12px ${CHART_FONT}`): (text: string) => number {
  const context = document.createElement("canvas").getContext("2d");
  if (!context) return (text) => text.length * 6.6;
  context.font = font;
  return (text) => context.measureText(text).width;
}
