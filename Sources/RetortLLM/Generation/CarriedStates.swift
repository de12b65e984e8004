import RetortTensor

/// What the layers that carry a state know of a text that stands in pages: behind its last token, and at ends of pages for texts that
/// begin alike. States are made anew with each token and never written to, so texts share them freely.
final class CarriedStates {
    /// By layer.
    typealias States = [Int: [Tensor]]

    /// Behind the last token that was read.
    private(set) var current: States
    /// Behind some full pages, by the number of tokens.
    private(set) var marks: [Int: States] = [:]

    /// The tokens that were read.
    private(set) var length: Int

    init(_ current: States = [:], length: Int = 0) {
        self.current = current
        self.length = length
    }

    /// A text that goes on from this one.
    func forked() -> CarriedStates {
        let fork = CarriedStates(current, length: length)
        fork.marks = marks
        return fork
    }

    /// A pass is through: what it made takes the place of what was.
    func accept(_ states: States, length: Int, marks new: [Int: States]) {
        current = states
        self.length = length
        marks.merge(new) { $1 }
    }

    /// Keeps the last mark only: what is before it has been handed on, or is of no use.
    func forgetMarks() {
        guard marks.count > 1, let last = marks.keys.max() else { return }
        marks = marks.filter { $0.key == last }
    }
}

/// Where a pass stops within a text to note the states.
struct StateMarks {
    /// In tokens, a multiple of a page's.
    let interval: Int

    init(interval: Int) { self.interval = interval }

    /// The interval is the fewest tokens whose keys and values take as much as the states, so that noting them at most doubles what a
    /// text takes.
    init?(_ configuration: DecoderConfiguration, _ dtype: DType) {
        guard configuration.carriesStates else { return nil }
        let size = KeyValuePages.pageTokens
        let pages = configuration.stateBytes(dtype) / max(KeyValuePages.bytes(ofPage: configuration, dtype), 1)
        interval = size * min(max(pages, 1), 64)
    }

    /// How many tokens each run has, of `count` behind `first`: runs end at every interval, and at the last full page.
    func runs(first: Int, count: Int) -> [Int] {
        let end = first + count
        let last = end / KeyValuePages.pageTokens * KeyValuePages.pageTokens
        var cuts = stride(from: (first / interval + 1) * interval, to: end, by: interval).map(\.self)
        if last > first, last < end, cuts.last != last { cuts.append(last) }
        return zip([first] + cuts, cuts + [end]).map { $1 - $0 }
    }

    /// Whether states are noted behind so many tokens.
    func isMark(_ tokens: Int) -> Bool { tokens.isMultiple(of: KeyValuePages.pageTokens) }
}

/// The states of the texts in one pass, which count once the pass is through.
final class PassStates {
    private let texts: [(states: CarriedStates, end: Int)]
    private let runs: [(text: Int, count: Int, end: Int)]
    private let marks: StateMarks?
    private var current: [CarriedStates.States]
    private var marked: [[Int: CarriedStates.States]]

    /// - Parameter texts: each with the tokens before the pass, and in it.
    /// - Throws: `KeyValuePagesError.states` where a text's states are not those before the pass: it cannot go back.
    init(_ texts: [(states: CarriedStates, first: Int, count: Int)], marks: StateMarks?) throws {
        if let text = texts.first(where: { !$0.states.current.isEmpty && $0.states.length != $0.first }) {
            throw KeyValuePagesError.states(behind: text.states.length, wanted: text.first)
        }
        self.texts = texts.map { ($0.states, $0.first + $0.count) }
        self.marks = marks
        current = texts.map(\.states.current)
        marked = Array(repeating: [:], count: texts.count)
        runs = texts.enumerated().flatMap { number, text in
            var end = text.first
            return (marks?.runs(first: text.first, count: text.count) ?? [text.count]).map { count in
                end += count
                return (number, count, end)
            }
        }
    }

    func carry(
        _ context: some AttentionContext, layer: Int, _ inputs: [Tensor], through step: CarryingStep
    ) throws -> Tensor {
        try context.carry(
            inputs, through: step, lengths: runs.map(\.count), before: { current[runs[$0].text][layer] },
            after: { number, state in
                let run = runs[number]
                current[run.text][layer] = state
                if marks?.isMark(run.end) ?? false { marked[run.text][run.end, default: [:]][layer] = state }
            })
    }

    /// The pass is through.
    func accept() {
        for (number, text) in texts.enumerated() {
            text.states.accept(current[number], length: text.end, marks: marked[number])
        }
    }
}
