// Light or dark, before anything is painted: this file is no module, so that the page never flashes.
(() => {
    const KEY = "weir-theme";
    const CHOICES = ["auto", "light", "dark"];
    const stored = () => {
        const kept = localStorage.getItem(KEY);
        return CHOICES.includes(kept) ? kept : "auto";
    };
    const use = (choice) => {
        document.documentElement.dataset.theme = choice;
        const button = document.getElementById("theme-button");
        if (button) button.textContent = `Theme: ${choice}`;
    };
    use(stored());
    document.addEventListener("DOMContentLoaded", () => {
        use(stored());
        document.getElementById("theme-button").addEventListener("click", () => {
            const next = CHOICES[(CHOICES.indexOf(stored()) + 1) % CHOICES.length];
            localStorage.setItem(KEY, next);
            use(next);
        });
    });
})();
