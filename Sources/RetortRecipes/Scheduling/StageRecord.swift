import Foundation

/// A stage in a run's manifest: what its result was made from, and its state.
package struct StageRecord: Codable, Sendable, Hashable {
    /// The state of a stage.
    package enum State: String, Codable, Sendable {
        /// Begun, but not finished.
        case running
        /// Everything was made.
        case complete
        /// Some items failed, and are tried again on the next run.
        case partial
    }

    /// Inputs with their content, by name; `stage NAME` for the outputs of other stages.
    package var inputs: [String: String]
    /// The state.
    package var state: State
    /// Identifies the result: its inputs, and its content; nil while it is not finished.
    package var output: String?
    /// Identifies the content alone, so that a result that was removed or changed is detected.
    var content: String?
    /// How many items it made or had to make; nil when nothing failed.
    package var total: Int?
    /// How many of them failed, by cause; nil when nothing failed.
    package var failures: [String: Int]?
    /// The time spent on it in all runs, in seconds.
    package var seconds: Double
    /// When it last began or ended.
    package var finished: Date

    init(_ inputs: [String: String]) {
        self.inputs = inputs
        state = .running
        seconds = 0
        finished = Date()
    }

    /// Reads a record; records of old manifests, which identified stages by one hash, have no inputs, so their stages
    /// are made again.
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        inputs = try fields.decodeIfPresent([String: String].self, forKey: .inputs) ?? [:]
        state = try fields.decodeIfPresent(State.self, forKey: .state) ?? .complete
        output = try fields.decodeIfPresent(String.self, forKey: .output)
        content = try fields.decodeIfPresent(String.self, forKey: .content)
        total = try fields.decodeIfPresent(Int.self, forKey: .total)
        failures = try fields.decodeIfPresent([String: Int].self, forKey: .failures)
        seconds = try fields.decode(Double.self, forKey: .seconds)
        finished = try fields.decode(Date.self, forKey: .finished)
    }

    /// How many items failed.
    package var failed: Int { (failures ?? [:]).values.reduce(0, +) }

    /// Records how the stage ended.
    mutating func end(_ outcome: StageOutcome, content: String?, seconds: Double) {
        let isComplete = outcome.failures.isEmpty
        state = isComplete ? .complete : .partial
        (total, failures) = isComplete ? (nil, nil) : (outcome.total, outcome.failures)
        self.content = content
        output = ContentDigest.of(
            inputs.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] } + [content ?? ""])
        self.seconds += seconds
        finished = Date()
    }
}
