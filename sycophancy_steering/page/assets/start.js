"use strict";
// What the figures and the atlas share: unpacking, and waiting until something is near.

/** The bytes of base64 text of gzip. */
async function unpackBytes(text) {
  const decoded = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : fromBase64(text);
  const stream = new Blob([decoded]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let n = 0; n < binary.length; n++) bytes[n] = binary.charCodeAt(n);
  return bytes;
}

/** Calls `act` once for each element that comes near the window. */
function whenNear(elements, act) {
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      observer.unobserve(entry.target);
      act(entry.target);
    }
  }, { rootMargin: "600px 0px" });
  for (const element of elements) observer.observe(element);
}

/** After the first paint, when the browser has nothing else to do. */
function afterPaint(act) {
  requestAnimationFrame(() => setTimeout(act, 0));
}

/** An element with attributes and text; never with markup. */
function make(name, attributes = {}, text = "") {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== "") element.textContent = text;
  return element;
}

/** Opens the folded parts around the element that the address names. */
function openAround(id) {
  const target = id && document.getElementById(id);
  if (!target) return;
  for (let node = target; node; node = node.parentElement) {
    if (node instanceof HTMLDetailsElement) node.open = true;
  }
  target.scrollIntoView();
}
addEventListener("hashchange", () => openAround(location.hash.slice(1)));
