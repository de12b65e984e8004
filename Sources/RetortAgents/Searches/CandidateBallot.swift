import RetortCore

/// The candidates of one step: tried concurrently, each in a branch of its own, until the vote is decided.
///
/// They are counted in sample order whatever order they end in, so the record does not depend on timing.
struct CandidateBallot {
    private let actions: [Action]
    /// For each sample the first one with the same action, which runs for all of them.
    private let leaders: [Int]
    private let order: [Int]
    private var vote: ActionVote
    private var trials: [Int: any Attempt] = [:]
    /// Those whose outcome entered the vote.
    private var counted: Set<Int> = []

    init(_ actions: [Action], rule: VoteRule, spelling: @escaping AnswerSpeller) {
        self.actions = actions
        leaders = actions.map { action in actions.firstIndex(of: action) ?? 0 }
        order = Set(leaders).sorted()
        vote = ActionVote(samples: actions.count, rule: rule, spelling: spelling)
    }

    var winner: Int { vote.winner }
    var votes: [Int] { vote.votes }

    /// The sample whose run stands for this one's.
    func leader(of sample: Int) -> Int { leaders[sample] }

    /// What came of a sample; nil when it was held, or not needed.
    func observation(of sample: Int) -> Observation? {
        guard counted.contains(leaders[sample]),
            case .finished(let observation) = trials[leaders[sample]]?.progress
        else { return nil }
        return observation
    }

    /// Tries the actions in sample order, a bounded number at once.
    /// - Throws: the first error of an environment, or that of a cancellation, when all branches are closed again.
    mutating func run(in environment: any Environment, concurrency: Int) async throws {
        var failure: (any Error)?
        // Each child tells its end as a value: a throwing group would drop the branches of those that end after an error.
        await withTaskGroup(of: (Int, Result<any Attempt, any Error>).self) { group in
            var waiting = order[...]
            func startNext() {
                guard let index = waiting.popFirst() else { return }
                let action = actions[index]
                group.addTask { (index, await Self.trial(of: action, in: environment)) }
            }
            for _ in 0..<concurrency { startNext() }
            for await (index, result) in group {
                switch result {
                case .success(let trial):
                    trials[index] = trial
                    countInOrder()
                case .failure(let error):
                    // Stopped because the vote was decided, or broken.
                    if !vote.isDecided { failure = failure ?? error }
                }
                if failure != nil || vote.isDecided {
                    waiting = []
                    group.cancelAll()
                }
                startNext()
            }
        }
        if failure == nil, Task.isCancelled { failure = CancellationError() }
        guard let failure else { return }
        for trial in trials.values { await trial.discard() }
        throw failure
    }

    private mutating func countInOrder() {
        for index in order where !counted.contains(index) {
            guard !vote.isDecided, let trial = trials[index] else { return }
            counted.insert(index)
            for sample in leaders.indices where leaders[sample] == index { vote.add(trial.progress, of: sample) }
        }
    }

    private static func trial(of action: Action, in environment: any Environment) async -> Result<
        any Attempt, any Error
    > {
        if let observation = action.immediateObservation {
            return .success(ImmediateAttempt(observation: observation, environment: environment))
        }
        do {
            try Task.checkCancellation()
            return .success(try await environment.attempt(action))
        } catch {
            return .failure(error)
        }
    }

    /// Throws the losers away and commits the winner.
    func conclude(_ environment: any Environment) async throws -> (Observation, any Environment) {
        let chosen = leaders[vote.winner]
        for (index, trial) in trials where index != chosen { await trial.discard() }
        guard let trial = trials[chosen] else { throw LanguageModelError.sampleMissing(chosen) }
        return try await trial.commit()
    }
}
