//! Which lines are turned around so that there is no circle, and in which layer each box stands.

/// The lines that lead back to a box from which the search came: without them, or with them turned, there is no circle. Boxes to which
/// nothing leads are looked at first, so that what begins a way stands at its beginning.
pub(super) fn turned(boxes: usize, lines: &[(usize, usize)]) -> Vec<bool> {
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); boxes];
    let mut is_led_to = vec![false; boxes];
    for (number, &(from, to)) in lines.iter().enumerate().filter(|(_, (from, to))| from != to) {
        out[from].push(number);
        is_led_to[to] = true;
    }
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        Not,
        Now,
        Done,
    }
    let mut visit = vec![Visit::Not; boxes];
    let mut turned = vec![false; lines.len()];
    let first = (0..boxes).filter(|own| !is_led_to[*own]);
    for start in first.chain(0..boxes) {
        if visit[start] != Visit::Not {
            continue;
        }
        visit[start] = Visit::Now;
        // Boxes on the way, each with how many of its lines are followed.
        let mut way = vec![(start, 0)];
        while let Some((own, followed)) = way.last_mut() {
            let Some(line) = out[*own].get(*followed) else {
                visit[*own] = Visit::Done;
                way.pop();
                continue;
            };
            *followed += 1;
            let to = lines[*line].1;
            match visit[to] {
                Visit::Now => turned[*line] = true,
                Visit::Not => {
                    visit[to] = Visit::Now;
                    way.push((to, 0));
                }
                Visit::Done => {}
            }
        }
    }
    turned
}

/// Each box stands behind all that lead to it, by the longest way, and one that begins a way right before the first it leads to. The
/// lines have no circle, but for those from a box to itself.
pub(super) fn layers(boxes: usize, lines: &[(usize, usize)]) -> Vec<usize> {
    let (mut out, mut waiting_for) = (vec![Vec::new(); boxes], vec![0usize; boxes]);
    for &(from, to) in lines.iter().filter(|(from, to)| from != to) {
        out[from].push(to);
        waiting_for[to] += 1;
    }
    let begins: Vec<usize> = (0..boxes).filter(|own| waiting_for[*own] == 0).collect();
    let mut layer = vec![0usize; boxes];
    let mut ready = begins.clone();
    while let Some(own) = ready.pop() {
        for &to in &out[own] {
            layer[to] = layer[to].max(layer[own] + 1);
            waiting_for[to] -= 1;
            if waiting_for[to] == 0 {
                ready.push(to);
            }
        }
    }
    for own in begins {
        if let Some(next) = out[own].iter().map(|to| layer[*to]).min() {
            layer[own] = next - 1;
        }
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(boxes: usize, lines: &[(usize, usize)]) -> Vec<usize> {
        let turned = turned(boxes, lines);
        let forward: Vec<(usize, usize)> = lines
            .iter()
            .zip(&turned)
            .map(|(&(a, b), turned)| if *turned { (b, a) } else { (a, b) })
            .collect();
        let layers = layers(boxes, &forward);
        for &(from, to) in forward.iter().filter(|(from, to)| from != to) {
            assert!(layers[from] < layers[to], "{lines:?}: {layers:?}");
        }
        layers
    }

    #[test]
    fn a_box_stands_behind_all_that_lead_to_it() {
        assert_eq!(placed(3, &[(0, 1), (1, 2), (0, 2)]), [0, 1, 2]);
        assert_eq!(placed(4, &[(0, 1), (1, 2), (3, 2)]), [0, 1, 2, 1], "what begins a way stands near");
    }

    #[test]
    fn a_circle_is_opened_where_it_comes_back_to_its_beginning() {
        assert_eq!(placed(3, &[(0, 1), (1, 0), (1, 2), (2, 2)]), [0, 1, 2]);
        assert_eq!(turned(2, &[(0, 1), (1, 0)]), [false, true]);
        assert_eq!(turned(3, &[(1, 2), (2, 1), (0, 2)]), [true, false, false], "from where nothing leads to");
    }

    #[test]
    fn every_line_of_every_small_graph_leads_on() {
        let pairs: Vec<(usize, usize)> = (0..4).flat_map(|from| (0..4).map(move |to| (from, to))).collect();
        for chosen in 0u32..1 << pairs.len() {
            let lines: Vec<(usize, usize)> = pairs
                .iter()
                .zip(0..)
                .filter(|(_, bit)| chosen >> bit & 1 == 1)
                .map(|(pair, _)| *pair)
                .collect();
            placed(4, &lines);
        }
    }
}
