import Foundation

/// What a run's manifest knows of a stage: what its result was made from, and how far it is.
public struct StageRecord: Codable, Sendable, Hashable {
    /// How far a stage is.
    public enum State: String, Codable, Sendable {
        /// Begun, and not ended.
        case running
        /// Everything was made.
        case complete
        /// Some things failed, and are tried again on the next run.
        case partial
    }

    /// By name, with their content; `stage NAME` for the outputs of other stages.
    public var inputs: [String: String]
    public var state: State
    /// Identifies what it made: its inputs, and the content of its result; nil while it is not done.
    public var output: String?
    /// Identifies the content alone, by which a result that was removed or changed is found out.
    var content: String?
    /// How many things it made or was to make, and how many failed, by cause; nil where all were made.
    public var total: Int?
    public var failures: [String: Int]?
    /// Work on it, over all runs.
    public var seconds: Double
    public var finished: Date

    init(_ inputs: [String: String]) {
        self.inputs = inputs
        state = .running
        seconds = 0
        finished = Date()
    }

    /// Reads a record; those of manifests that knew stages by one hash have no inputs, and so are made anew.
    public init(from decoder: any Decoder) throws {
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

    /// How many things failed.
    public var failed: Int { (failures ?? [:]).values.reduce(0, +) }

    /// Notes how the stage ended.
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
