// Gradio's button that ends a recording keeps the name of the one that begins it; its picture does not.
() => {
  const rename = () => {
    for (const button of document.querySelectorAll("#clip .capture-button")) {
      const name = button.querySelector("[title]")?.title;
      if (name && button.getAttribute("aria-label") !== name) {
        button.setAttribute("aria-label", name);
      }
    }
  };
  const clip = document.querySelector("#clip");
  new MutationObserver(rename).observe(clip, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["title", "aria-label"],
  });
}
