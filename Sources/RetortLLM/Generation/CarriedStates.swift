import RetortTensor

/// The states that state-carrying layers have for a text in pages: after its last token, and at the ends of some
/// pages, for texts with the same beginning. Each token creates new states and none is modified, so texts can share
/// them freely.
final class CarriedStates {
    /// The tensors of each layer's state, by layer.
    typealias States = [Int: [Tensor]]

    /// The states after the last token that was read.
    private(set) var current: States
    /// The states after some full pages, by the number of tokens.
    private(set) var marks: [Int: States] = [:]

    /// The number of tokens that were read.
    private(set) var length: Int

    init(_ current: States = [:], length: Int = 0) {
        self.current = current
        self.length = length
    }

    /// A copy for a text that continues this one.
    func forked() -> CarriedStates {
        let fork = CarriedStates(current, length: length)
        fork.marks = marks
        return fork
    }

    /// Replaces the states by those that a finished pass computed.
    func accept(_ states: States, length: Int, marks new: [Int: States]) {
        current = states
        self.length = length
        marks.merge(new) { $1 }
    }

    /// Keeps only the last mark; earlier ones have been handed on or are of no use.
    func forgetMarks() {
        guard marks.count > 1, let last = marks.keys.max() else { return }
        marks = marks.filter { $0.key == last }
    }
}

/// Where a pass pauses within a text to record the states.
struct StateMarks {
    /// The distance between marks in tokens, a multiple of the page size.
    let interval: Int

    init(interval: Int) { self.interval = interval }

    /// The interval is the smallest number of tokens whose keys and values take as much memory as the states, so that
    /// recording states at most doubles the memory of a text.
    init?(_ configuration: DecoderConfiguration, _ dtype: DType) {
        guard configuration.carriesStates else { return nil }
        let size = KeyValuePages.pageTokens
        let pages = configuration.stateBytes(dtype) / max(KeyValuePages.bytes(ofPage: configuration, dtype), 1)
        interval = size * min(max(pages, 1), 64)
    }

    /// The lengths of the runs into which `count` tokens after the first `first` are split: runs end at every
    /// interval, and at the last full page.
    func runs(first: Int, count: Int) -> [Int] {
        let end = first + count
        let last = end / KeyValuePages.pageTokens * KeyValuePages.pageTokens
        var cuts = stride(from: (first / interval + 1) * interval, to: end, by: interval).map(\.self)
        if last > first, last < end, cuts.last != last { cuts.append(last) }
        return zip([first] + cuts, cuts + [end]).map { $1 - $0 }
    }

    /// Whether states are recorded after this many tokens.
    func isMark(_ tokens: Int) -> Bool { tokens.isMultiple(of: KeyValuePages.pageTokens) }
}

/// The states of all texts in one pass, which take effect once the pass is finished.
final class PassStates {
    private let texts: [(states: CarriedStates, end: Int)]
    private let runs: [(text: Int, count: Int, end: Int)]
    private let marks: StateMarks?
    private var current: [CarriedStates.States]
    private var marked: [[Int: CarriedStates.States]]

    /// - Parameter texts: each with the number of tokens before the pass, and in it.
    /// - Throws: `KeyValuePagesError.states` when a text's states are not those before the pass, since states cannot
    ///   go back.
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

    /// The pass is finished: its states take effect.
    func accept() {
        for (number, text) in texts.enumerated() {
            text.states.accept(current[number], length: text.end, marks: marked[number])
        }
    }
}
