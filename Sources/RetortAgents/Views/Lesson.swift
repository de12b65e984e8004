import RetortCore

/// Which of a trajectory's steps a student learns from. The others are shown to it, as what happened.
public enum LearnedSteps: Sendable, Hashable {
    case all
    /// Those with these places, from 0.
    case only(Set<Int>)

    /// Whether the step at a place is learned from.
    public func contains(_ index: Int) -> Bool {
        switch self {
        case .all: true
        case .only(let places): places.contains(index)
        }
    }
}

/// A trajectory as something to learn from.
public struct Lesson: Sendable, Hashable {
    /// What happened.
    public var trajectory: Trajectory
    /// What of it.
    public var steps: LearnedSteps

    /// A trajectory, and which of its steps are learned; nil is all that are not marked otherwise (`Step.isLearned`).
    public init(_ trajectory: Trajectory, learning steps: LearnedSteps? = nil) {
        self.trajectory = trajectory
        self.steps = steps ?? trajectory.steps(without: [])
    }
}

/// Steps of an otherwise right trajectory that are not worth learning.
public enum BadStep: String, Codable, Sendable, CaseIterable {
    /// The action failed: a program's error, a time limit, a turn without an action.
    case failed
    /// A tool refused a call, whatever the program made of that.
    case refused
    /// The action was taken before, and showed the same then.
    case repeated
}

extension Trajectory {
    /// The steps that are none of these, nor marked as not to be learned.
    public func steps(without bad: Set<BadStep>) -> LearnedSteps {
        var good: Set<Int> = []
        var seen: Set<[String]> = []
        for (index, step) in steps.enumerated() {
            let isNew = seen.insert([step.action.canonicalText, step.observation.text]).inserted
            if step.isLearned == false { continue }
            if bad.contains(.failed), step.observation.outcome.isFailure { continue }
            if bad.contains(.refused), step.observation.toolCalls.contains(where: { $0.error != nil }) { continue }
            if bad.contains(.repeated), !isNew { continue }
            good.insert(index)
        }
        return good.count == steps.count ? .all : .only(good)
    }

    /// Whether anything is left to learn.
    public func teaches(_ learned: LearnedSteps) -> Bool {
        steps.enumerated().contains {
            learned.contains($0.offset) && $0.element.speaker != ChainOfThoughtView.retriever
        }
    }
}
