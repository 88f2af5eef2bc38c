// What people who hear a page, rather than see it, miss in Gradio's.
() => {
  // The button that ends a recording keeps the name of the one that begins it; its picture does not.
  const rename = () => {
    for (const button of document.querySelectorAll("#clip .capture-button")) {
      const name = button.querySelector("[title]")?.title;
      if (name && button.getAttribute("aria-label") !== name) {
        button.setAttribute("aria-label", name);
      }
    }
  };
  new MutationObserver(rename).observe(document.querySelector("#clip"), {
    subtree: true, childList: true, attributes: true, attributeFilter: ["title", "aria-label"],
  });

  // A region has to be there before its words are, or they are not read out.
  const said = document.createElement("p");
  said.className = "emodask-said";
  said.setAttribute("role", "status");
  document.querySelector("main").append(said);
  const tell = () => {
    const words = document.querySelector("#verdict .state")?.textContent ?? "";
    if (said.textContent !== words) said.textContent = words;
  };
  new MutationObserver(tell).observe(document.querySelector("#verdict"), {
    subtree: true, childList: true,
  });
}
