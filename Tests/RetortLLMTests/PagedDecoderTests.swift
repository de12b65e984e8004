import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

@Suite("Keys and values in pages")
struct PagedDecoderTests {
    private static let families = [Family("plain", [:])] + Family.all

    private func network(_ family: Family, dtype: DType = .float32) throws -> DecoderNetwork {
        if family.testDescription == "plain" {
            return try Checkpoint(folder: seedlings.appendingPathComponent("1m")).network(dtype: dtype)
        }
        let folder = try ScratchFolder()
        let file = folder.url.appendingPathComponent("config.json")
        try JSONCoding.encoder.encode(family.fields).write(to: file)
        return try DecoderNetwork(
            DecoderConfiguration(configFile: file), weights: RandomWeights(seed: 4, deviation: 0.3, dtype: dtype))
    }

    private func text(_ length: Int, _ seed: Int = 0) -> [Int32] {
        (0..<length).map { Int32((seed * 131 + $0 * 17) % 997 + 3) }
    }

    private func memory(_ network: DecoderNetwork, tokens: Int = 1 << 12) throws -> KeyValuePages {
        try KeyValuePages(
            network.configuration, dtype: network.embedTokens.dtype, bytes: 1 << 30, mostTokens: tokens)
    }

    /// The scores behind each of a text's tokens, read in pieces of some lengths.
    private func scores(
        _ decoder: PagedDecoder, _ text: [Int32], pieces: [Int], from start: PagedSequence = PagedSequence()
    ) throws -> (rows: [[Float]], sequence: PagedSequence) {
        var sequence = start
        var rows: [[Float]] = []
        for count in pieces {
            try sequence.reserve(count, in: decoder.memory)
            let tokens = Array(text[sequence.length..<sequence.length + count])
            let part = PagedDecoder.Part(tokens: tokens, sequence: sequence, adapter: nil, scores: count)
            let found = try #require(try decoder.scores([part]))
            let values = try found.floats()
            let width = values.count / count
            rows += (0..<count).map { Array(values[$0 * width..<($0 + 1) * width]) }
            sequence.length += count
        }
        return (rows, sequence)
    }

    @Test("a text read in pieces has the scores of the text computed whole", arguments: families)
    func pieces(family: Family) throws {
        let network = try network(family)
        let text = text(70)
        let whole = try network.scores(of: text, at: 0..<70).floats()
        let found = try scores(PagedDecoder(network, memory: memory(network)), text, pieces: [33, 1, 1, 15, 1, 19])
        let largest = zip(whole, found.rows.joined()).map { abs($0 - $1) }.max() ?? .infinity
        #expect(largest < 2e-3, "\(largest)")
    }

    @Test(
        "in bfloat16 and in few bits they are the same to the bit, whatever the pieces",
        .enabled(if: PackedWeight.hasKernels), arguments: PackedWeight.Bits.allCases, ["plain", "Gemma 4"])
    func invariant(bits: PackedWeight.Bits, name: String) throws {
        let network = try network(
            try #require(Self.families.first { $0.testDescription == name }), dtype: .bfloat16)
        let plain = try network.scores(of: text(90), at: 0..<90).floats()
        try network.pack(bits)
        let decoder = PagedDecoder(network, memory: try memory(network))
        let whole = try scores(decoder, text(90), pieces: [90]).rows
        for pieces in [Array(repeating: 1, count: 90), [16, 32, 42], [7, 1, 1, 30, 51]] {
            #expect(try scores(decoder, text(90), pieces: pieces).rows == whole)
        }
        let scale = plain.map(abs).max() ?? 1
        let largest = zip(plain, whole.joined()).map { abs($0 - $1) }.max() ?? .infinity
        // A network of few weights that are drawn widely is hit harder by rounding.
        let share: Float = (bits == .int4 ? 0.4 : 0.08) * (name == "plain" ? 1 : 2)
        #expect(largest < share * scale, "\(largest) of \(scale)")
        // Nor does it matter what else is in the pass.
        var (one, other) = (PagedSequence(), PagedSequence())
        try one.reserve(90, in: decoder.memory)
        try other.reserve(25, in: decoder.memory)
        let both = try #require(
            try decoder.scores([
                .init(tokens: text(25, 3), sequence: other, adapter: nil, scores: 25),
                .init(tokens: text(90), sequence: one, adapter: nil, scores: 90),
            ]))
        #expect(try both.narrowed(0, 25..<115).floats() == Array(whole.joined()))
    }

    @Test(
        "so are they where layers carry states", .enabled(if: PackedWeight.hasKernels),
        arguments: Self.families.filter { ["LFM2", "Qwen3.5"].contains($0.testDescription) })
    func carried(family: Family) throws {
        let network = try network(family, dtype: .bfloat16)
        try network.pack(.bfloat16)
        let whole = try scores(PagedDecoder(network, memory: memory(network)), text(90), pieces: [90]).rows
        let noting = PagedDecoder(network, memory: try memory(network), notesStates: true)
        for pieces in [Array(repeating: 1, count: 90), [16, 32, 42], [7, 1, 1, 30, 51]] {
            let (rows, sequence) = try scores(noting, text(90), pieces: pieces)
            #expect(rows == whole)
            // Behind any full page that was noted, another text goes on as if it had read what is before.
            #expect(sequence.states.marks.keys.max() == 80)
            for (tokens, states) in sequence.states.marks {
                let pages = Array(sequence.pages.prefix(tokens / 16))
                let start = PagedSequence(sharing: pages, states: states, in: noting.memory)
                let rest = try scores(noting, text(90), pieces: [90 - tokens], from: start).rows
                #expect(rest == Array(whole[tokens...]))
            }
        }
    }

    @Test("states are noted at intervals and behind the last full page")
    func marks() throws {
        let network = try network(try #require(Self.families.first { $0.testDescription == "LFM2" }))
        let marks = try #require(StateMarks(network.configuration, .float32))
        #expect(marks.interval == 16)
        #expect(marks.runs(first: 0, count: 7) == [7])
        #expect(marks.runs(first: 7, count: 9) == [9])
        #expect(marks.runs(first: 7, count: 30) == [9, 16, 5])
        #expect(marks.runs(first: 16, count: 1) == [1])
        #expect(try StateMarks(self.network(Self.families[0]).configuration, .float32) == nil)
        let large = StateMarks(interval: 64)
        #expect(large.runs(first: 0, count: 150) == [64, 64, 16, 6])
        #expect(large.runs(first: 63, count: 2) == [1, 1])
        #expect(large.runs(first: 70, count: 80) == [58, 16, 6])
    }

    @Test("of what begins alike, only that counts whose states are kept, and the oldest of these go first")
    func states() throws {
        let memory = try memory(network(Self.families[0]), tokens: 160)
        let prefixes = PrefixPages(memory, mostStates: 2)
        let state = try Tensor.zeros([1])
        for number in 0..<3 {
            var sequence = PagedSequence()
            try sequence.reserve(48, in: memory)
            prefixes.keep(text(48, number), sequence.pages, adapter: nil, states: [32: [0: [state]]])
            let found = prefixes.match(text(49, number), adapter: nil)
            #expect(found.pages == Array(sequence.pages.prefix(2)) && found.states[0]?.count == 1)
            sequence.release(in: memory)
        }
        #expect(prefixes.stateCount == 2)
        #expect(prefixes.match(text(49, 0), adapter: nil).pages.isEmpty)
        #expect(prefixes.match(text(49, 1), adapter: nil).pages.count == 2)
        prefixes.free(memory.count)
        #expect(prefixes.stateCount == 0)
    }

    @Test("a fork goes on by itself, and shares what is full", arguments: ["plain", "LFM2", "Qwen3.5", "Gemma 4"])
    func forks(name: String) throws {
        let network = try network(try #require(Self.families.first { $0.testDescription == name }))
        let decoder = PagedDecoder(network, memory: try memory(network))
        let (first, second) = (text(40), text(20) + text(20, 5))
        var (_, sequence) = try scores(decoder, first, pieces: [20])
        var fork = try sequence.forked(in: decoder.memory)
        #expect(fork.pages[0] == sequence.pages[0])
        #expect(fork.pages[1] != sequence.pages[1])
        #expect(decoder.memory.owners(of: fork.pages[0]) == 2)
        let one = try scores(decoder, first, pieces: [20], from: sequence)
        let other = try scores(decoder, second, pieces: [20], from: fork)
        for (rows, text) in [(one.rows, first), (other.rows, second)] {
            let whole = try network.scores(of: text, at: 20..<40).floats()
            #expect((zip(whole, rows.joined()).map { abs($0 - $1) }.max() ?? .infinity) < 1e-3)
        }
        sequence = one.sequence
        fork = other.sequence
        sequence.release(in: decoder.memory)
        fork.release(in: decoder.memory)
        #expect(decoder.memory.freeCount == decoder.memory.count)
    }

    @Test(
        "texts that begin alike have the scores together that each has alone",
        .enabled(if: PackedWeight.hasKernels), arguments: ["plain", "Gemma 4"])
    func together(name: String) throws {
        let network = try network(
            try #require(Self.families.first { $0.testDescription == name }), dtype: .bfloat16)
        try network.pack(.bfloat16)
        try compare(network)
        try Tensor.withoutMatrixRegisters { try compare(network) }
    }

    /// Compares texts that begin alike, read in one pass, with each read alone.
    private func compare(_ network: DecoderNetwork) throws {
        let decoder = PagedDecoder(network, memory: try memory(network))
        // The third begins as the first does and goes on by itself.
        let beginnings = [text(150), text(100, 2), text(150).prefix(80) + text(30, 4)]
        var read: [PagedSequence] = []
        for (place, beginning) in beginnings.enumerated() {
            let start = PagedSequence(sharing: place == 2 ? Array(read[0].pages.prefix(5)) : [], in: decoder.memory)
            let rest = beginning.count - start.length
            read.append(try scores(decoder, beginning, pieces: [rest], from: start).sequence)
        }
        // Neighbours begin differently, and all are of different lengths.
        let agents = (0..<14).map { (beginning: [0, 1, 0, 2][$0 % 4], own: text(5 + 3 * $0, 10 + $0)) }
        var sequences = try agents.map {
            let fork = try read[$0.beginning].forked(in: decoder.memory)
            return try scores(decoder, beginnings[$0.beginning] + $0.own, pieces: [$0.own.count], from: fork).sequence
        }
        let next = text(3, 99)
        for place in sequences.indices { try sequences[place].reserve(3, in: decoder.memory) }
        let counts = agents.indices.map { $0 % 3 + 1 }
        let parts = sequences.indices.map {
            PagedDecoder.Part(
                tokens: Array(next.prefix(counts[$0])), sequence: sequences[$0], adapter: nil, scores: counts[$0])
        }
        let together = try #require(try decoder.scores(parts)).floats()
        let alone = try agents.indices.map { place in
            let all = beginnings[agents[place].beginning] + agents[place].own + next.prefix(counts[place])
            let decoder = PagedDecoder(network, memory: try memory(network))
            return try scores(decoder, all, pieces: [all.count]).rows.suffix(counts[place])
        }
        // Spelled out in a failure, the numbers would take minutes to compare.
        let isSame = together == Array(alone.joined().joined())
        #expect(isSame)
    }

    @Test("when no page is left, taking one is an error")
    func full() throws {
        let memory = try memory(network(Self.families[0]), tokens: 32)
        var sequence = PagedSequence()
        try sequence.reserve(32, in: memory)
        #expect(throws: KeyValuePagesError.self) { try sequence.reserve(33, in: memory) }
        #expect(memory.freeCount == 0)
    }

    @Test("what begins alike is known by its pages, per adapter, and given up in the order of use")
    func prefixes() throws {
        let memory = try memory(network(Self.families[0]), tokens: 160)
        let prefixes = PrefixPages(memory)
        var sequences = try (0..<3).map { number in
            var sequence = PagedSequence()
            try sequence.reserve(48, in: memory)
            prefixes.keep(text(48, number), sequence.pages, adapter: number == 2 ? 1 : nil)
            return sequence
        }
        // The last token must be read to be gone on from.
        #expect(prefixes.match(text(48), adapter: nil).pages == Array(sequences[0].pages.prefix(2)))
        #expect(prefixes.match(text(49), adapter: nil).pages == sequences[0].pages)
        #expect(prefixes.match(text(40), adapter: nil).pages == Array(sequences[0].pages.prefix(2)))
        #expect(prefixes.match(text(49), adapter: 1).pages == [])
        #expect(prefixes.match(text(49, 2), adapter: 1).pages == sequences[2].pages)
        // Nothing that a sequence owns is freed.
        prefixes.free(10)
        #expect(memory.freeCount == 1)
        for index in sequences.indices { sequences[index].release(in: memory) }
        #expect(prefixes.spare == 9)
        _ = prefixes.match(text(49), adapter: nil)
        prefixes.free(4)
        #expect(prefixes.match(text(49), adapter: nil).pages.count == 3)
        #expect(prefixes.match(text(49, 1), adapter: nil).pages == [])
        prefixes.limit(to: 2)
        #expect(memory.freeCount == 8)
        #expect(prefixes.match(text(49), adapter: nil).pages.count == 2)
    }

    @Test("what could be freed is counted as pages come and go, and a page goes after those behind it")
    func spare() throws {
        let memory = try memory(network(Self.families[0]), tokens: 16 * 8)
        let prefixes = PrefixPages(memory)
        var (first, twin) = (PagedSequence(), PagedSequence())
        try first.reserve(32, in: memory)
        prefixes.keep(text(32), first.pages, adapter: nil)
        // Somebody who read the same beginning beside it, and went on: his pages stand behind those that are known.
        try twin.reserve(64, in: memory)
        prefixes.keep(text(64), twin.pages, adapter: nil)
        #expect(prefixes.count == 4 && prefixes.spare == 0 && memory.sharedCount == 0)
        first.release(in: memory)
        #expect(prefixes.spare == 2)
        // Both are behind nothing, but before pages that are in use.
        prefixes.limit(to: 0)
        #expect(prefixes.spare == 2 && prefixes.match(text(64), adapter: nil).pages.count == 3)
        var other = PagedSequence(sharing: prefixes.match(text(64), adapter: nil).pages, in: memory)
        #expect(prefixes.spare == 0 && memory.sharedCount == 1)
        twin.release(in: memory)
        #expect(prefixes.spare == 1 && memory.sharedCount == 0)
        other.release(in: memory)
        #expect(prefixes.spare == 4)
        prefixes.limit(to: 3)
        #expect(prefixes.match(text(65), adapter: nil).pages.count == 3)
        prefixes.limit(to: 0)
        #expect(prefixes.count == 0 && memory.freeCount == memory.count)
    }

    @Test("a queue of pages keeps their order, whoever leaves")
    func queue() {
        var queue = PageQueue(pages: 200)
        var expected: [Int32] = []
        var generator = SeededGenerator(seed: 5, "queue")
        for _ in 0..<3000 {
            let page = Int32.random(in: 0..<200, using: &generator)
            if expected.contains(page) {
                expected.removeAll { $0 == page }
                queue.remove(page)
            } else {
                expected.append(page)
                queue.append(page)
            }
            #expect(queue.count == expected.count && queue.contains(page) == expected.contains(page))
        }
        var found: [Int32] = []
        var next = queue.first
        while let page = next {
            found.append(page)
            next = queue.next(page)
        }
        #expect(found == expected)
    }
}
