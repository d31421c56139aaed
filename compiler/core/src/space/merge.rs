//! Which states of an automaton nothing tells apart: Hopcroft's partition refinement, n log n steps for each class of bytes.
//! (Moore's, round by round, is quadratic for one long literal.)

/// For each state the number of its block; blocks are numbered in the order of their first states. Two states are in one
/// block iff after any bytes the same is said of both.
pub(super) fn blocks(transitions: &[u32], classes: usize, said: &[u32]) -> Vec<u32> {
    let before = Before::of(transitions, classes, said.len());
    let mut partition = Partition::of(said);
    let all = partition.starts.len() as u32;
    let mut waiting: Vec<(u32, usize)> =
        (0..all).flat_map(|block| (0..classes).map(move |class| (block, class))).collect();
    let mut is_waiting = vec![true; waiting.len()];
    let mut touched: Vec<u32> = Vec::new();
    while let Some((splitter, class)) = waiting.pop() {
        is_waiting[splitter as usize * classes + class] = false;
        let inside = partition.members(splitter).to_vec();
        for state in inside {
            for before in before.states(state, class) {
                partition.mark(*before, &mut touched);
            }
        }
        for block in touched.drain(..) {
            let Some(fresh) = partition.split(block) else { continue };
            is_waiting.resize(partition.starts.len() * classes, false);
            for class in 0..classes {
                // Whoever waits stands for both halves; otherwise the smaller one is enough.
                let smaller = if is_waiting[block as usize * classes + class]
                    || partition.size(fresh) <= partition.size(block)
                {
                    fresh
                } else {
                    block
                };
                if !std::mem::replace(&mut is_waiting[smaller as usize * classes + class], true) {
                    waiting.push((smaller, class));
                }
            }
        }
    }
    partition.numbered()
}

/// For each class of bytes and state, the states that lead there.
struct Before {
    states: Vec<u32>,
    /// Where those of (class, state) begin.
    starts: Vec<u32>,
    count: usize,
}

impl Before {
    fn of(transitions: &[u32], classes: usize, count: usize) -> Before {
        let mut starts = vec![0u32; classes * count + 1];
        let place = |class: usize, to: u32| class * count + to as usize;
        for (index, to) in transitions.iter().enumerate() {
            starts[place(index % classes, *to) + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut states = vec![0u32; transitions.len()];
        for (index, to) in transitions.iter().enumerate() {
            let place = place(index % classes, *to);
            states[next[place] as usize] = (index / classes) as u32;
            next[place] += 1;
        }
        Before { states, starts, count }
    }

    fn states(&self, state: u32, class: usize) -> &[u32] {
        let place = class * self.count + state as usize;
        &self.states[self.starts[place] as usize..self.starts[place + 1] as usize]
    }
}

/// States in blocks, each block a run of `order`; its marked states stand first.
struct Partition {
    order: Vec<u32>,
    place: Vec<u32>,
    block: Vec<u32>,
    starts: Vec<u32>,
    ends: Vec<u32>,
    marked: Vec<u32>,
}

impl Partition {
    /// A block for everything that is said.
    fn of(said: &[u32]) -> Partition {
        let mut order: Vec<u32> = (0..said.len() as u32).collect();
        order.sort_by_key(|state| said[*state as usize]);
        let mut partition = Partition {
            place: vec![0; order.len()],
            block: vec![0; order.len()],
            starts: vec![],
            ends: vec![],
            marked: vec![],
            order,
        };
        for at in 0..partition.order.len() {
            let state = partition.order[at] as usize;
            let new = at == 0 || said[partition.order[at - 1] as usize] != said[state];
            if new {
                partition.starts.push(at as u32);
                partition.ends.push(at as u32);
                partition.marked.push(0);
            }
            let block = partition.starts.len() - 1;
            partition.ends[block] = at as u32 + 1;
            partition.block[state] = block as u32;
            partition.place[state] = at as u32;
        }
        partition
    }

    fn members(&self, block: u32) -> &[u32] {
        &self.order[self.starts[block as usize] as usize..self.ends[block as usize] as usize]
    }

    fn size(&self, block: u32) -> u32 {
        self.ends[block as usize] - self.starts[block as usize]
    }

    fn mark(&mut self, state: u32, touched: &mut Vec<u32>) {
        let block = self.block[state as usize];
        let (at, to) =
            (self.place[state as usize], self.starts[block as usize] + self.marked[block as usize]);
        if at < to {
            return;
        }
        if self.marked[block as usize] == 0 {
            touched.push(block);
        }
        self.marked[block as usize] += 1;
        let other = self.order[to as usize];
        self.order.swap(at as usize, to as usize);
        self.place[other as usize] = at;
        self.place[state as usize] = to;
    }

    /// The marked states become a block of their own, unless that is all of them.
    fn split(&mut self, block: u32) -> Option<u32> {
        let count = std::mem::take(&mut self.marked[block as usize]);
        if count == self.size(block) {
            return None;
        }
        let fresh = self.starts.len() as u32;
        let start = self.starts[block as usize];
        self.starts[block as usize] = start + count;
        self.starts.push(start);
        self.ends.push(start + count);
        self.marked.push(0);
        for at in start..start + count {
            self.block[self.order[at as usize] as usize] = fresh;
        }
        Some(fresh)
    }

    fn numbered(self) -> Vec<u32> {
        let mut numbers = vec![u32::MAX; self.starts.len()];
        let mut next = 0;
        let mut blocks = self.block;
        for block in &mut blocks {
            let number = &mut numbers[*block as usize];
            if *number == u32::MAX {
                *number = next;
                next += 1;
            }
            *block = *number;
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::blocks;
    use std::collections::BTreeMap;

    /// Round by round, by definition.
    fn by_rounds(transitions: &[u32], classes: usize, said: &[u32]) -> Vec<u32> {
        let mut now = said.to_vec();
        for _ in 0..=said.len() {
            let mut seen = BTreeMap::new();
            let keys = now.iter().enumerate().map(|(state, own)| {
                let leads = transitions[state * classes..(state + 1) * classes].iter();
                (*own, leads.map(|to| now[*to as usize]).collect::<Vec<_>>())
            });
            let keys: Vec<_> = keys.collect();
            now = keys
                .into_iter()
                .map(|key| {
                    let fresh = seen.len() as u32;
                    *seen.entry(key).or_insert(fresh)
                })
                .collect();
        }
        now
    }

    #[test]
    fn states_that_nothing_tells_apart_are_one() {
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..2_000 {
            let (count, classes) = (1 + random(12) as usize, 1 + random(3) as usize);
            let transitions: Vec<u32> = (0..count * classes).map(|_| random(count as u64) as u32).collect();
            let said: Vec<u32> = (0..count).map(|_| random(3) as u32).collect();
            let found = blocks(&transitions, classes, &said);
            assert_eq!(found, by_rounds(&transitions, classes, &said), "{transitions:?} {said:?}");
        }
    }
}
