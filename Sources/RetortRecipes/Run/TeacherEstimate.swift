import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// What a teacher's work is expected to cost, before it begins.
public struct TeacherEstimate: Codable, Sendable, Hashable {
    /// One stage's part.
    public struct Stage: Codable, Sendable, Hashable {
        /// The kind of student that it teaches.
        public var style: Recipe.Style
        /// How many trajectories the recipe asks for.
        public var trajectories: Int
        /// How many of them the folder already has.
        public var done: Int
        /// The expected tokens of the remaining prompts.
        public var promptTokens: Int
        /// The expected tokens of the remaining replies.
        public var completionTokens: Int
        /// The tokens if every turn is as long, and every trajectory has as many turns, as the recipe allows.
        public var most: Int
        /// Whether the expectation is based on existing trajectories, and not on rules of thumb.
        public var isMeasured: Bool
    }

    /// The most that repairs may cost; it is not known beforehand what will have to be repaired.
    public struct Repairs: Codable, Sendable, Hashable {
        /// The number of steps that are requested.
        public var steps: Int
        /// The tokens of these steps.
        public var tokens: Int
    }

    /// The model's name.
    public var model: String
    /// The stages' parts.
    public var stages: [Stage]
    /// The most that repairs may cost; nil in recipes without repairs.
    public var repairs: Repairs?
    /// The expected cost; nil when the price is unknown.
    public var cost: Double?
    /// The highest possible cost; nil when the price is unknown.
    public var mostCost: Double?

    /// The estimate as lines of text.
    public var text: String {
        var lines = stages.map { stage in
            "\(stage.style.rawValue): \(stage.trajectories - stage.done) of \(stage.trajectories) trajectories to make, about "
                + "\(stage.promptTokens + stage.completionTokens) tokens (\(stage.promptTokens) of prompts, "
                + "\(stage.completionTokens) of replies; \(stage.isMeasured ? "as those made so far" : "a rule of thumb")), "
                + "at most \(stage.most)"
        }
        if let repairs {
            lines.append("repairs: at most \(repairs.steps) steps and \(repairs.tokens) tokens, if nothing is right")
        }
        if let cost, let mostCost {
            lines.append("cost with \(model): about \(Budget.amount(cost)), at most \(Budget.amount(mostCost))")
        } else {
            lines.append("cost with \(model): not known; 'teacher.prices' has no price for it")
        }
        return lines.joined(separator: "\n")
    }
}

extension RunContext {
    /// Rules of thumb for an unknown teacher: characters in a token of English, turns of a trajectory, and tokens of a
    /// turn with its observation.
    private static let charactersPerToken = 4.0
    private static let usualTurns = 2.5
    private static let usualTurnTokens = 150
    private static let usualObservationTokens = 150

    /// The expected cost of the recipe's teacher, without asking it.
    /// - Throws: `RunError.noTeacher` for a recipe without one, `BudgetError.unknownPrice` when money is limited.
    func estimate() async throws -> TeacherEstimate {
        guard let plan = recipe.teacher else { throw RunError.noTeacher }
        let model = plan.name ?? plan.endpoints.first?.model ?? "the endpoint's model"
        let price = plan.prices[model]
        if plan.budget?.money != nil, price == nil { throw BudgetError.unknownPrice(model: model) }
        var stages: [TeacherEstimate.Stage] = []
        for style in Recipe.Style.allCases where recipe.training[style] != nil {
            stages.append(try await estimate(plan, style))
        }
        let expected = stages.reduce(Usage()) {
            $0 + Usage(promptTokens: $1.promptTokens, completionTokens: $1.completionTokens)
        }
        let repairs = try await repairs(plan)
        let most = stages.map(\.most).reduce(0, +) + (repairs?.tokens ?? 0)
        return TeacherEstimate(
            model: model, stages: stages, repairs: repairs, cost: price?.cost(expected),
            mostCost: price.map { Double(most) * max($0.input, $0.output) / 1e6 })
    }

    private func estimate(_ plan: TeacherPlan, _ style: Recipe.Style) async throws -> TeacherEstimate.Stage {
        let asking = plan.asking
        let parts: [TeachStage.Part] = usesOwnValidation(style) ? [.training, .validation] : [.training]
        let all =
            parts.reduce(0) { $0 + ($1 == .training ? source.train : source.validation).count } * asking.trajectories
        var (done, measured) = (0, Usage())
        for part in parts {
            for try await entry in store.trajectories(in: TeachStage.set(style, part)) {
                if case .failed = entry.trajectory.ending { continue }
                done += 1
                measured = measured + entry.trajectory.usage
            }
        }
        let left = max(all - done, 0)
        let (prompt, turns) = try await firstPrompt(plan, style)
        // Turn k reads the prompt and all turns before it.
        func reading(turns: Double, each: Double) -> Double { turns * prompt + each * turns * (turns - 1) / 2 }
        let isAgent = style.isAgent
        let longest = Double(turns)
        let usual = isAgent ? min(Self.usualTurns, longest) : 1
        var expected = Usage(
            promptTokens: Int(
                reading(turns: usual, each: Double(Self.usualTurnTokens + Self.usualObservationTokens))),
            completionTokens: Int(usual * Double(min(Self.usualTurnTokens, asking.maximumTokens))))
        var most =
            reading(turns: longest, each: Double(asking.maximumTokens + Self.usualObservationTokens))
            + longest * Double(asking.maximumTokens)
        if style.usesFirstThought(asking) {
            expected = expected + Usage(promptTokens: Int(prompt), completionTokens: 2 * Self.usualTurnTokens)
            most += prompt + Double(asking.maximumTokens)
        }
        if done > 0 {
            expected = Usage(
                promptTokens: measured.promptTokens / done, completionTokens: measured.completionTokens / done)
        }
        return TeacherEstimate.Stage(
            style: style, trajectories: all, done: done, promptTokens: expected.promptTokens * left,
            completionTokens: expected.completionTokens * left, most: Int(most) * left * plan.tries,
            isMeasured: done > 0)
    }

    /// Every step of every task's trajectory, each after a chat of the greatest possible length.
    private func repairs(_ plan: TeacherPlan) async throws -> TeacherEstimate.Repairs? {
        var repairs = TeacherEstimate.Repairs(steps: 0, tokens: 0)
        for style in Recipe.Style.allCases {
            let (prompt, _) = try await firstPrompt(plan, style)
            let steps = recipe.evaluation.maximumSteps
            let turn = recipe.evaluation.maximumTokens + Self.usualObservationTokens
            let longest = Int(prompt) + steps * turn + plan.asking.maximumTokens
            for repair in recipe.rounds(of: style).compactMap(\.repair) {
                let count = recipe.students.count * source.train.count * min(repair.candidates, steps)
                repairs.steps += count
                repairs.tokens += count * longest
            }
        }
        return repairs.steps == 0 ? nil : repairs
    }

    /// The mean length of the first prompts, in tokens by rule of thumb, and the most turns.
    private func firstPrompt(_ plan: TeacherPlan, _ style: Recipe.Style) async throws -> (tokens: Double, turns: Int) {
        let view = view(style, instructions: plan.asking.instructions)
        let sample = source.train.prefix(200)
        let characters = sample.map { task in
            view.messages(for: Trajectory(task: task, provenance: Provenance(policy: "", model: "")))
                .map(\.text.count).reduce(0, +)
        }.reduce(0, +)
        let retrieved = style == .cotWithRetrieval ? Double(Self.usualObservationTokens) : 0
        // The step limit is followed by the request for an answer.
        return (
            Double(characters) / Double(max(sample.count, 1)) / Self.charactersPerToken + retrieved,
            style.isAgent ? plan.asking.maximumSteps + 1 : 1
        )
    }
}
