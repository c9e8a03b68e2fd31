//! Makes new inputs of old ones: a few cuts, copies, flips and splices at seeded places.

/// What parsers look for, whichever they are.
const WORDS: &[&[u8]] = &[
    b"<result>",
    b"</result>",
    b"<result id=\"k7f3\">",
    b"<result>{\"a\": \"",
    b"\"}</result>",
    b"<",
    b">",
    b"\x1b[31m",
    b"\x1b]0;t\x07",
    b"\x1b]7501;",
    b"\x1b\\",
    b"\r\n",
    b"\n",
    b"\0\0\0\x05",
    b"\xff\xff\xff\xff",
    b"\xc3",
    b"\xe2\x82",
    b"[[phase]]\n",
    b"[[phase.task]]\n",
    b"id = \"a\"\n",
    b"[agent.a]\n",
    b"type = \"service\"\n",
    b"${a.output}",
    b"${",
    b"{prompt}",
    b"\"\"\"",
    b"'''",
    b"= [",
    b"= {",
    b"]",
    b"}",
    b"\"",
    b"#",
    b"true",
    b"-1",
    b"99999999999999999999",
    b"1e309",
    b"\"5s\"",
    b"null",
    b"{\"ask\":\"status\"}",
    b"{\"ask\":\"send\",\"text\":\"x\",\"enter\":true}",
    b"\xef\xbb\xbf",
    b"a.b.c = 1\n",
];
/// Longer inputs only cost time.
const BYTES_MAX: usize = 16 << 10;

/// An endless, seeded source of inputs.
pub(super) struct Mutator<'c> {
    state: u64,
    corpus: &'c [Vec<u8>],
}

impl<'c> Mutator<'c> {
    pub(super) fn new(seed: u64, corpus: &'c [Vec<u8>]) -> Self {
        Self { state: seed, corpus }
    }

    /// SplitMix64, below a limit.
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        usize::try_from(mixed % (limit.max(1) as u64)).expect("it is below a usize")
    }

    fn any(&mut self) -> &'c [u8] {
        let index = self.below(self.corpus.len());
        &self.corpus[index]
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        let most = (length - from).min(64);
        from..from + self.below(most + 1)
    }

    /// The next one.
    pub(super) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.any().to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(7) {
            0 => drop(input.drain(self.range(input.len()))),
            1 => {
                let copy = input[self.range(input.len())].to_vec();
                input.splice(at..at, copy);
            }
            2 => {
                let byte = u8::try_from(self.below(256)).expect("it is below 256");
                input.insert(at, byte);
            }
            3 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            4 => {
                let other = self.any();
                let part = &other[self.range(other.len())];
                input.splice(at..at, part.iter().copied());
            }
            5 => input.truncate(at),
            _ => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
        }
    }
}
