//! Where boxes and lines stand: layers from left to right, as Sugiyama, Tagawa and Toda draw hierarchies ("Methods for Visual
//! Understanding of Hierarchical System Structures", IEEE Transactions on Systems, Man, and Cybernetics 11(2), 1981).
//!
//! Circles are opened, each box gets a layer, long lines get a bend in each layer they pass, the order in each layer is the one with
//! few crossings, and heights follow from the neighbours. Same input, same places.

mod heights;
mod layers;
mod order;

/// What is to be placed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    /// Width and height of each box, in pixels.
    pub(crate) boxes: Vec<(i64, i64)>,
    pub(crate) lines: Vec<Line>,
}

/// A line between two boxes, by their numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Width and height of what is written on it.
    pub(crate) label: Option<(i64, i64)>,
}

/// Where everything stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub(crate) width: i64,
    pub(crate) height: i64,
    /// The left upper corner of each box.
    pub(crate) boxes: Vec<(i64, i64)>,
    pub(crate) lines: Vec<Placed>,
}

/// A line with its places.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed {
    /// From the box it begins at to the one it ends at; an odd and the next even point lie on one height inside a column, and between
    /// columns it may rise and fall. Empty for a line from a box to itself.
    pub(crate) points: Vec<(i64, i64)>,
    /// The middle of its label.
    pub(crate) label: Option<(i64, i64)>,
}

/// Between a column of boxes and the column of labels beside it.
const GAP: i64 = 34;
/// Between boxes of a column.
const BETWEEN: i64 = 18;
/// Between a line that passes and what stands beside it.
const PASSING: i64 = 10;
/// Between the picture and its edge.
const MARGIN: i64 = 16;
/// Between two lines at a box.
const SPREAD: i64 = 9;
/// Boxes without lines stand in rows below the others, not wider than this unless the picture is.
const ROW_WIDTH: i64 = 900;

/// A thing in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    what: What,
    layer: usize,
    width: i64,
    height: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Box(usize),
    /// Where a line passes.
    Bend,
    /// Where a line passes below what is written on it.
    Label,
}

/// Boxes and bends in layers. Boxes are in even layers, labels in odd ones.
struct Layered {
    /// The first ones are those of the boxes, in their order.
    items: Vec<Item>,
    /// For each item those in the layer before and behind it that a line leads to.
    before: Vec<Vec<usize>>,
    behind: Vec<Vec<usize>>,
    /// For each line its items, in order of layers.
    chains: Vec<Vec<usize>>,
    /// For each line whether it was turned around to open a circle.
    turned: Vec<bool>,
    count: usize,
}

/// Places boxes and lines. Time: about linear in the bends, a few dozen times.
pub(crate) fn layout(sizes: &Sizes) -> Layout {
    let layered = layered(sizes);
    let order = order::order(&layered);
    let heights = heights::heights(&layered, &order);
    place(sizes, &layered, &heights)
}

fn layered(sizes: &Sizes) -> Layered {
    let pairs: Vec<(usize, usize)> = sizes.lines.iter().map(|line| (line.from, line.to)).collect();
    let turned = layers::turned(sizes.boxes.len(), &pairs);
    let forward: Vec<(usize, usize)> = pairs
        .iter()
        .zip(&turned)
        .map(|(&(from, to), turned)| if *turned { (to, from) } else { (from, to) })
        .collect();
    let layer = layers::layers(sizes.boxes.len(), &forward);
    let boxes = sizes.boxes.iter().zip(&layer).enumerate();
    let mut items: Vec<Item> = boxes
        .map(|(number, (&(width, height), layer))| Item {
            what: What::Box(number),
            layer: 2 * layer,
            width,
            height,
        })
        .collect();
    let mut chains = Vec::with_capacity(forward.len());
    for (line, &(from, to)) in sizes.lines.iter().zip(&forward) {
        if from == to {
            chains.push(Vec::new());
            continue;
        }
        let mut chain = vec![from];
        let between = 2 * layer[from] + 1..2 * layer[to];
        for (layer, first) in between.zip(std::iter::once(true).chain(std::iter::repeat(false))) {
            let item = match line.label.filter(|_| first) {
                Some((width, height)) => Item { what: What::Label, layer, width, height },
                None => Item { what: What::Bend, layer, width: 0, height: 0 },
            };
            chain.push(items.len());
            items.push(item);
        }
        chain.push(to);
        chains.push(chain);
    }
    let (mut before, mut behind) = (vec![Vec::new(); items.len()], vec![Vec::new(); items.len()]);
    for pair in chains.iter().flat_map(|chain| chain.windows(2)) {
        behind[pair[0]].push(pair[1]);
        before[pair[1]].push(pair[0]);
    }
    let count = items.iter().map(|item| item.layer + 1).max().unwrap_or(0);
    Layered { items, before, behind, chains, turned, count }
}

impl Layered {
    /// Whether no line leads to it or from it.
    fn is_alone(&self, item: usize) -> bool {
        self.before[item].is_empty() && self.behind[item].is_empty()
    }
}

fn place(sizes: &Sizes, layered: &Layered, middles: &[i64]) -> Layout {
    let mut widths = vec![0; layered.count];
    for (item, number) in layered.items.iter().zip(0..) {
        if !layered.is_alone(number) {
            widths[item.layer] = item.width.max(widths[item.layer]);
        }
    }
    let mut lefts = Vec::with_capacity(widths.len());
    let mut x = MARGIN;
    for width in &widths {
        lefts.push(x);
        x += width + GAP;
    }
    let has_lines = layered.chains.iter().any(|chain| !chain.is_empty());
    let mut width = if has_lines { x - GAP + MARGIN } else { 0 };
    let linked = (0..layered.items.len()).filter(|item| !layered.is_alone(*item));
    let bottom = linked.map(|item| middles[item] + layered.items[item].height / 2).max().unwrap_or(0);
    let mut boxes = vec![(0, 0); sizes.boxes.len()];
    let row_width = width.max(ROW_WIDTH);
    let (mut x, mut y, mut tallest) = (MARGIN, if has_lines { bottom + 2 * BETWEEN } else { MARGIN }, 0);
    for (number, &(own_width, own_height)) in sizes.boxes.iter().enumerate() {
        if !layered.is_alone(number) {
            let column = layered.items[number].layer;
            // Boxes stand in the middle of their column.
            let left = lefts[column] + (widths[column] - own_width) / 2;
            boxes[number] = (left, middles[number] - own_height / 2);
            continue;
        }
        if x > MARGIN && x + own_width + MARGIN > row_width {
            (x, y, tallest) = (MARGIN, y + tallest + BETWEEN, 0);
        }
        boxes[number] = (x, y);
        x += own_width + BETWEEN;
        tallest = own_height.max(tallest);
        width = width.max(x - BETWEEN + MARGIN);
    }
    let height = if tallest > 0 { y + tallest } else { bottom } + MARGIN;
    let ends = ends(layered, middles);
    let lines: Vec<Placed> = (0..sizes.lines.len())
        .map(|line| {
            let chain = &layered.chains[line];
            let mut points = Vec::new();
            let mut label = None;
            for (step, item) in chain.iter().enumerate() {
                let Item { what, layer, .. } = layered.items[*item];
                let (left, right) = (lefts[layer], lefts[layer] + widths[layer]);
                match what {
                    What::Box(number) => {
                        let (own_left, own_width) = (boxes[number].0, sizes.boxes[number].0);
                        let height = middles[*item] + ends[line][usize::from(step > 0)];
                        // Out of the box to the edge of its column, or from there into it.
                        match step {
                            0 => points.extend([(own_left + own_width, height), (right, height)]),
                            _ => points.extend([(left, height), (own_left, height)]),
                        }
                    }
                    // Where a column has no labels there is nothing to pass.
                    What::Bend if left == right => {}
                    What::Bend | What::Label => {
                        points.extend([(left, middles[*item]), (right, middles[*item])]);
                        if what == What::Label {
                            label = Some(((left + right) / 2, middles[*item]));
                        }
                    }
                }
            }
            if layered.turned[line] {
                points.reverse();
            }
            Placed { points, label }
        })
        .collect();
    Layout { width, height, boxes, lines }
}

/// For each line how far from the middle of its first and of its last box it leaves and arrives: beside each other, in the order of
/// where they come from.
fn ends(layered: &Layered, middles: &[i64]) -> Vec<[i64; 2]> {
    let mut at: Vec<[Vec<(i64, usize)>; 2]> = vec![[Vec::new(), Vec::new()]; layered.items.len()];
    for (line, chain) in layered.chains.iter().enumerate() {
        if let [first, second, .., before_last, last] | [first, second @ before_last, last] = chain.as_slice()
        {
            at[*first][0].push((middles[*second], line));
            at[*last][1].push((middles[*before_last], line));
        }
    }
    let mut ends = vec![[0, 0]; layered.chains.len()];
    for (item, sides) in at.iter_mut().enumerate() {
        for (side, lines) in sides.iter_mut().enumerate() {
            lines.sort_unstable();
            let count = lines.len() as i64;
            let room = (layered.items[item].height - SPREAD).max(0);
            let step = if count > 1 { (room / (count - 1)).min(SPREAD) } else { 0 };
            for ((_, line), place) in lines.iter().zip(0i64..) {
                ends[*line][side] = step * place - step * (count - 1) / 2;
            }
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, the same every time: splitmix64.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = self.0;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((bits ^ (bits >> 31)) % end as u64) as usize
        }
    }

    fn drawn(seed: u64) -> Sizes {
        let mut dice = Dice(seed);
        let count = 1 + dice.below(30);
        let boxes =
            (0..count).map(|_| (40 + dice.below(160) as i64, 24 + 2 * dice.below(20) as i64)).collect();
        let lines = (0..dice.below(60)).map(|_| Line {
            from: dice.below(count),
            to: dice.below(count),
            label: (dice.below(2) == 0).then(|| (20 + dice.below(80) as i64, 14)),
        });
        let lines = lines.collect();
        Sizes { boxes, lines }
    }

    type Rectangle = (i64, i64, i64, i64);

    fn meet(a: Rectangle, b: Rectangle) -> bool {
        a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
    }

    fn boxes(sizes: &Sizes, layout: &Layout) -> Vec<Rectangle> {
        let both = layout.boxes.iter().zip(&sizes.boxes);
        both.map(|(&(x, y), &(width, height))| (x, y, x + width, y + height)).collect()
    }

    fn labels(sizes: &Sizes, layout: &Layout) -> Vec<Rectangle> {
        let both = layout.lines.iter().zip(&sizes.lines);
        both.filter_map(|(placed, line)| {
            let ((x, y), (width, height)) = (placed.label?, line.label?);
            Some((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
        })
        .collect()
    }

    #[test]
    fn nothing_stands_on_anything_else() {
        for seed in 0..300 {
            let sizes = drawn(seed);
            let layout = layout(&sizes);
            let all: Vec<Rectangle> =
                boxes(&sizes, &layout).into_iter().chain(labels(&sizes, &layout)).collect();
            for (index, one) in all.iter().enumerate() {
                assert!(
                    one.0 >= 0 && one.1 >= 0 && one.2 <= layout.width && one.3 <= layout.height,
                    "seed {seed}"
                );
                assert!(all[index + 1..].iter().all(|other| !meet(*one, *other)), "seed {seed}");
            }
        }
    }

    #[test]
    fn lines_pass_no_box_and_go_from_left_to_right_or_back() {
        let mut passing = 0;
        for seed in 0..300 {
            let sizes = drawn(seed);
            let layout = layout(&sizes);
            let all = boxes(&sizes, &layout);
            for (line, placed) in sizes.lines.iter().zip(&layout.lines) {
                assert_eq!(placed.points.is_empty(), line.from == line.to, "seed {seed}");
                let rises = placed.points.windows(2).all(|pair| pair[0].0 <= pair[1].0);
                let falls = placed.points.windows(2).all(|pair| pair[0].0 >= pair[1].0);
                assert!(rises || falls, "seed {seed}");
                // Inside a column a line is level, and no box is on its way there.
                for pair in placed.points.chunks(2).filter(|pair| pair.len() == 2) {
                    assert_eq!(pair[0].1, pair[1].1, "seed {seed}");
                    let stretch =
                        (pair[0].0.min(pair[1].0), pair[0].1, pair[0].0.max(pair[1].0), pair[0].1 + 1);
                    passing += usize::from(stretch.0 < stretch.2);
                    assert!(all.iter().all(|own| !meet(stretch, *own)), "seed {seed}");
                }
            }
        }
        assert!(passing > 1_000, "{passing} stretches inside columns");
    }

    #[test]
    fn the_same_is_drawn_the_same() {
        assert_eq!(layout(&drawn(7)), layout(&drawn(7)));
    }

    #[test]
    fn a_chain_is_a_straight_line() {
        let line = |from, to| Line { from, to, label: None };
        let sizes = Sizes { boxes: vec![(50, 30); 3], lines: vec![line(0, 1), line(1, 2)] };
        let layout = layout(&sizes);
        let heights: Vec<i64> = layout.boxes.iter().map(|(_, y)| *y).collect();
        assert_eq!(heights, [MARGIN; 3]);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let layout = layout(&Sizes::default());
        assert_eq!((layout.boxes.len(), layout.lines.len()), (0, 0));
    }
}
