/// What a run would do with each of its stages, and why.
public struct StagePlan: Codable, Sendable, Hashable {
    /// What would be done with a stage.
    public enum Action: Codable, Sendable, Hashable {
        /// Nothing: its result was made from the present inputs.
        case keep
        /// It was never made.
        case make
        /// It is made again, because these inputs changed.
        case remake([String])
        /// It is made again, because its result is missing, or was changed by something else.
        case replace
        /// It continues where it was interrupted.
        case resume
        /// This many failures are tried again.
        case retry(Int)
        /// It is made again after these stages.
        case follow([String])
        /// It is made again if what these stages try again changes their results.
        case mayFollow([String])
    }

    /// One stage.
    public struct Entry: Codable, Sendable, Hashable {
        /// The stage's name.
        public var stage: String
        /// What would be done.
        public var action: Action
    }

    /// The stages in the order in which they run.
    public var entries: [Entry]

    /// Whether there is nothing to do.
    public var isDone: Bool { entries.allSatisfy { $0.action == .keep } }

    /// What would be done with a stage; nil when the plan has no such stage.
    public subscript(stage: String) -> Action? { entries.first { $0.stage == stage }?.action }

    /// One line for each stage.
    public var text: String {
        let width = entries.map(\.stage.count).max() ?? 0
        return entries.map { entry in
            let name = entry.stage + String(repeating: " ", count: width - entry.stage.count)
            return "\(entry.action.verb)  \(name)  \(entry.action.reason)"
        }.joined(separator: "\n")
    }
}

extension StagePlan.Action {
    /// The action as a word of fixed width.
    fileprivate var verb: String {
        switch self {
        case .keep: "keep "
        case .mayFollow: "maybe"
        case .make, .remake, .replace, .resume, .retry, .follow: "run  "
        }
    }

    fileprivate var reason: String {
        switch self {
        case .keep: "done"
        case .make: "not made yet"
        case .remake(let inputs): "changed: \(inputs.joined(separator: ", "))"
        case .replace: "its result is gone, or was changed by something else"
        case .resume: "interrupted; goes on where it stood"
        case .retry(let count): "\(count) failed, and \(count == 1 ? "is" : "are") tried again"
        case .follow(let stages): "behind \(stages.joined(separator: ", "))"
        case .mayFollow(let stages): "if the result of \(stages.joined(separator: ", ")) changes"
        }
    }

    /// Whether an existing result must be removed.
    var isStale: Bool {
        switch self {
        case .make, .remake, .replace, .follow: true
        case .keep, .resume, .retry, .mayFollow: false
        }
    }
}
