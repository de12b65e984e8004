import RetortCore

/// Depth-first search over decisions (DFSDT; ToolLLM, arXiv 2307.16789, section 2.3, as `DFS_woFilter_w2` does it).
///
/// A chain is followed until it answers, gives up or is too long. One that gave up is left two levels up, one that was too
/// long one level up, and there another way is tried in a fork of the environment, `width` ways in all from each point.
/// The model is told which ways were tried and what came of them, and asked for another. The first answer ends the search.
/// Without one, the run is one of those that gave up, or else the first chain.
///
/// The record holds the chain that counts; each of its steps has its siblings as candidates, and bears the cost of what
/// was abandoned from there.
///
/// What changes the world outside cannot be taken back: from a step that did, the search goes on forwards only, and the
/// record is a chain through it.
public struct DepthFirstSearch: Search {
    /// How long the reminder of earlier tries stays in the dialogue.
    public enum Reminder: String, Codable, Sendable, CaseIterable {
        /// For the one step (as ToolBench's inference does).
        case momentary
        /// From then on (as ToolBench's training data has it).
        case kept
    }

    /// `depthFirst`.
    public let name = "depthFirst"
    private let width: Int
    private let maximumQueries: Int
    private let sampling: Sampling
    private let reminder: Reminder

    /// - Parameters:
    ///   - width: ways tried from each point.
    ///   - maximumQueries: proposals in all; no more are asked for after that.
    ///   - sampling: how proposals are drawn; the seed is set for each.
    public init(
        width: Int = 2, maximumQueries: Int = 60, sampling: Sampling = .greedy, reminder: Reminder = .momentary
    ) {
        self.width = max(width, 1)
        self.maximumQueries = max(maximumQueries, 1)
        self.sampling = sampling
        self.reminder = reminder
    }

    /// A step without going back.
    public func advance(
        _ trajectory: Trajectory, policy: any Policy, environment: any Environment, seed: UInt64,
        emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Advance {
        try await GreedySearch(sampling: sampling).advance(
            trajectory, policy: policy, environment: environment, seed: seed, emit: emit)
    }

    /// Searches until a leaf answers or the tree is done, and leaves the path that was taken in `trajectory`.
    public func pursue(
        _ trajectory: inout Trajectory, in environment: inout any Environment, policy: any Policy, maximumSteps: Int,
        emit: @Sendable (RolloutEvent) -> Void
    ) async throws {
        let tree = DecisionTree(root: trajectory)
        let answer: BranchOutcome
        do {
            answer = try await explore(
                tree.root, in: environment, tree: tree, policy: policy, maximumSteps: maximumSteps, emit: emit)
        } catch {
            // What was done, and paid for, until it broke.
            trajectory = tree.chain(to: tree.latest)
            throw error
        }
        if case .answered(let session) = answer {
            await environment.close()
            environment = session
        }
        let first = trajectory.steps.count
        trajectory = tree.outcome(seed: trajectory.stepSeed)
        for step in trajectory.steps.dropFirst(first) { emit(.stepFinished(step)) }
    }

    /// How the search leaves a point.
    private enum BranchOutcome {
        /// With an answer, and the environment after it.
        case answered(any Environment)
        /// So many levels up: 1 is the point before.
        case back(levels: Int)
        /// For good: the budget is used up.
        case spent
    }

    /// Tries the ways from a point, the environment of which stays the caller's.
    private func explore(
        _ node: DecisionTree.Node, in environment: any Environment, tree: DecisionTree, policy: any Policy,
        maximumSteps: Int, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> BranchOutcome {
        for _ in 0..<width {
            guard tree.queries < maximumQueries else { return .spent }
            try Task.checkCancellation()
            emit(.stepStarted(node.trajectory.steps.count))
            let remark =
                node.children.isEmpty ? nil : Self.reminder(of: node.children.compactMap(\.trajectory.steps.last))
            let proposal = try await propose(node, remark, policy, emit)
            tree.queries += 1
            var branch = try await environment.fork()
            do {
                let trial = try await branch.attempt(proposal.action)
                // From here on there is no way back, however it goes on.
                if case .held = trial.progress { tree.pinned = node }
                let (observation, after) = try await trial.commit()
                branch = after
                let child = node.add(
                    proposal, observation, remarks: reminder == .kept ? remark.map { [$0] } : nil)
                tree.latest = child
                if case .held = trial.progress { tree.pinned = child }
                let leave = try await follow(
                    child, in: branch, tree: tree, policy: policy, maximumSteps: maximumSteps, emit: emit)
                switch leave {
                case .answered(let session):
                    // The branch itself, unless the answer lies deeper.
                    if child.trajectory.ending == nil { await branch.close() }
                    return .answered(session)
                case .spent:
                    await branch.close()
                    return .spent
                case .back(let levels):
                    await branch.close()
                    if tree.pinned === child { return .spent }
                    if levels > 1, tree.pinned !== node { return .back(levels: levels - 1) }
                }
            } catch {
                await branch.close()
                throw error
            }
        }
        return tree.pinned === node ? .spent : .back(levels: 1)
    }

    /// What is done with a new point: the end of a chain is left, any other explored.
    private func follow(
        _ node: DecisionTree.Node, in environment: any Environment, tree: DecisionTree, policy: any Policy,
        maximumSteps: Int, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> BranchOutcome {
        switch node.trajectory.ending {
        case .answered:
            tree.answer = node
            return .answered(environment)
        case .gaveUp:
            tree.gaveUp.append(node)
            return .back(levels: 2)
        case .forced, .failed, nil: break
        }
        guard node.trajectory.steps.count < maximumSteps else { return .back(levels: 1) }
        return try await explore(
            node, in: environment, tree: tree, policy: policy, maximumSteps: maximumSteps, emit: emit)
    }

    private func propose(
        _ node: DecisionTree.Node, _ remark: String?, _ policy: any Policy, _ emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal {
        var sampling = sampling
        sampling.seed = StableHash.of("\(node.trajectory.stepSeed) \(node.children.count)")
        let request = ProposalRequest(count: 1, sampling: sampling, remark: remark)
        guard let proposal = try await policy.propose(for: node.trajectory, request, emit: emit).first else {
            throw LanguageModelError.sampleMissing(0)
        }
        return proposal
    }

    /// What was tried from a point, and the wish for something else.
    static func reminder(of steps: [Step]) -> String {
        let tried = steps.map { step -> String in
            var fields: [String: JSONValue] = ["observation": .string(step.observation.text.shown(upTo: 256))]
            switch step.action {
            case .toolCall(let name, let arguments):
                fields["name"] = .string(name)
                fields["arguments"] = arguments
            case .code(let program): fields["program"] = .string(program)
            case .unparsable(let text, _): fields["text"] = .string(text.shown(upTo: 256))
            case .giveUp: fields = ["name": "give up"]
            case .answer(let value): fields = ["answer": value]
            }
            return JSONValue.object(fields).jsonText
        }
        return "Tried here before:\n\(tried.joined(separator: "\n"))\nNow do something else."
    }
}

/// What a depth-first search has seen.
private final class DecisionTree {
    /// A point of a trajectory.
    final class Node {
        let trajectory: Trajectory
        private unowned let parent: Node?
        private(set) var children: [Node] = []

        init(_ trajectory: Trajectory, parent: Node?) {
            self.trajectory = trajectory
            self.parent = parent
        }

        func add(_ proposal: Proposal, _ observation: Observation, remarks: [String]?) -> Node {
            var longer = trajectory
            var step = Step(proposal, observation)
            step.remarks = remarks
            longer.append(step)
            if let ending = step.ending { longer.end(ending) }
            let child = Node(longer, parent: self)
            children.append(child)
            return child
        }

        /// From the root's child to this.
        var path: [Node] { parent.map { $0.path + [self] } ?? [] }
        /// Where this was decided.
        var origin: Node? { parent }
        /// What all steps from here on cost, this one's included.
        var cost: Usage {
            children.reduce(origin == nil ? Usage() : trajectory.steps.last?.usage ?? Usage()) { $0 + $1.cost }
        }
    }

    let root: Node
    var queries = 0
    var answer: Node?
    var gaveUp: [Node] = []
    /// The point after the last effect on the outside world: the search does not leave it backwards.
    var pinned: Node?
    /// The point that was made last.
    var latest: Node

    init(root: Trajectory) {
        self.root = Node(root, parent: nil)
        latest = self.root
    }

    /// The chain that counts, with the cost of the others.
    func outcome(seed: UInt64) -> Trajectory {
        var end = answer
        let gaveUp = gaveUp.filter { end in pinned.map { pinned in end.path.contains { $0 === pinned } } ?? true }
        if end == nil, !gaveUp.isEmpty { end = gaveUp[Int(seed % UInt64(gaveUp.count))] }
        var node = pinned ?? root
        while end == nil, let next = node.children.first { node = next }
        let last = end ?? node
        var trajectory = chain(to: last)
        if let ending = last.trajectory.ending { trajectory.end(ending) }
        return trajectory
    }

    /// The steps to a point, with the cost of those beside them.
    func chain(to end: Node) -> Trajectory {
        var trajectory = root.trajectory
        for chosen in end.path {
            guard var step = chosen.trajectory.steps.last, let origin = chosen.origin else { continue }
            let siblings = origin.children
            step.usage = siblings.reduce(step.usage) { $1 === chosen ? $0 : $0 + $1.cost }
            if siblings.count > 1 {
                step.candidates = siblings.compactMap { sibling in
                    sibling.trajectory.steps.last.map {
                        Candidate(
                            thought: $0.thought, action: $0.action, observation: $0.observation,
                            chosen: sibling === chosen)
                    }
                }
            }
            trajectory.append(step)
        }
        return trajectory
    }
}
