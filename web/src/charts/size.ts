// Sizes of elements as the browser tells them: asking for one between two writes would lay the page out anew each time.

export interface Size {
  width: number;
  height: number;
}

const known = new WeakMap<Element, Size>();
const watch = typeof ResizeObserver === "undefined" ? null : new ResizeObserver((entries) => entries.forEach(({ target }) => known.set(target, measured(target))));

/** Inner width and height (CSS px): asked for once, then told with each change. */
export function sizeOf(element: Element): Size {
  let size = known.get(element);
  if (!size) {
    size = measured(element);
    known.set(element, size);
    watch?.observe(element);
  }
  return size;
}

/** The same, asked for now. */
export function measured({ clientWidth: width, clientHeight: height }: Element): Size {
  return { width, height };
}
