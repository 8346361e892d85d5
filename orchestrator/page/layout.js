// Where the cards of the cluster stand, and the lines between them. Pure geometry, in pixels.
//
// The request's way runs from card to card like a line of text that turns round at each margin, so that consecutive cards
// are always neighbours. On a phone there is one column.

const CARD = 196;
const GAP = 116;
const ROW_GAP = 68;
const GUTTER = 20;
const LINE_Y = 30;
const RETURN = 34;

/** How many columns fit, how wide a card is, and the gap between two. */
export function grid(width, count) {
    const columns = Math.max(1, Math.min(count, Math.floor((width - 2 * GUTTER + GAP) / (CARD + GAP))));
    if (columns === 1) return { columns, card: width - 2 * GUTTER, gap: 0 };
    const card = Math.min(248, (width - 2 * GUTTER - (columns - 1) * GAP) / columns);
    return { columns, card, gap: (width - 2 * GUTTER - columns * card) / (columns - 1) };
}

/**
 * Boxes of cards on a grid; their heights are known, and those of a row become equal. `above` is room for lines that skip a
 * card; rows change direction where `turns` says so.
 */
export function boxes({ columns, card, gap }, heights, { above = 0, rowGap = ROW_GAP, turns = true } = {}) {
    const placed = [];
    let top = above;
    for (let start = 0; start < heights.length; start += columns) {
        const row = heights.slice(start, start + columns);
        const height = Math.max(...row);
        const backwards = turns && (start / columns) % 2 === 1;
        row.forEach((_, index) => {
            const column = backwards ? columns - 1 - index : index;
            placed.push({ x: GUTTER + column * (card + gap), y: top, w: card, h: height, row: start / columns });
        });
        top += height + rowGap + (columns > 1 ? above : 0);
    }
    return placed;
}

const centre = (box) => box.x + box.w / 2;

/** The line from one card to the next: its corners, and where its label belongs. */
export function neighbours(a, b) {
    if (a.row === b.row) {
        const right = b.x > a.x;
        const [from, to] = right ? [a.x + a.w, b.x] : [a.x, b.x + b.w];
        const y = a.y + LINE_Y;
        return {
            corners: [
                [from, y],
                [to, y],
            ],
            label: { x: (from + to) / 2, y: y + 6, side: "below" },
        };
    }
    const x = centre(a);
    const [from, to] = [a.y + a.h, b.y];
    return {
        corners: [
            [x, from],
            [x, to],
        ],
        label: { x: x + 12, y: (from + to) / 2, side: "right" },
    };
}

/** The way back from the last card to the first, beneath and around. */
export function wayBack(last, first) {
    const bottom = last.y + last.h;
    const y = bottom + RETURN;
    if (last.row === first.row) {
        const [from, to] = [centre(last), centre(first)];
        const corners = [
            [from, bottom],
            [from, y],
            [to, y],
            [to, first.y + first.h],
        ];
        return { corners, label: { x: (from + to) / 2, y: y + 5, side: "along" } };
    }
    const gutter = GUTTER / 2 - 2;
    const corners = [
        [centre(last), bottom],
        [centre(last), y],
        [gutter, y],
        [gutter, first.y + LINE_Y],
        [first.x, first.y + LINE_Y],
    ];
    return { corners, label: { x: gutter + 10, y: y + 5, side: "along start" } };
}

/** A line that skips cards: over them in their row, or down the right margin. */
export function bypass(a, b, width, above) {
    if (a.row === b.row) {
        const y = a.y - above / 2;
        const [from, to] = [centre(a) + 24, centre(b) - 24];
        return {
            corners: [
                [from, a.y],
                [from, y],
                [to, y],
                [to, b.y],
            ],
            label: { x: (from + to) / 2, y: y - 6, side: "above" },
        };
    }
    const gutter = width - GUTTER / 2 + 2;
    const corners = [
        [a.x + a.w, a.y + LINE_Y],
        [gutter, a.y + LINE_Y],
        [gutter, b.y + LINE_Y],
        [b.x + b.w, b.y + LINE_Y],
    ];
    return { corners, label: null };
}

/** Corners as a path whose bends are round. */
export function rounded(corners, radius = 10) {
    const toward = ([x, y], [tx, ty], by) => {
        const length = Math.hypot(tx - x, ty - y) || 1;
        const share = Math.min(by, length / 2) / length;
        return [x + (tx - x) * share, y + (ty - y) * share];
    };
    const at = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;
    return corners
        .map((corner, index) => {
            if (index === 0) return `M${at(corner)}`;
            if (index === corners.length - 1) return `L${at(corner)}`;
            return `L${at(toward(corner, corners[index - 1], radius))}Q${at(corner)} ${at(toward(corner, corners[index + 1], radius))}`;
        })
        .join("");
}
