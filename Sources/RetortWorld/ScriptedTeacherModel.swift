import RetortAgents
import RetortCore

/// The scripted teacher as a language model: it reads a chat and writes the next turn. This exercises the whole path of
/// a teacher behind an endpoint, with its parsing and its failures, without a large model.
///
/// With noise it makes mistakes as language models do: in the first thought, where the plan is made. An agent that
/// slips begins with the wrong operation or looks up the wrong relation, and continues from there; one whose turn is
/// prefilled with a first thought continues from that, right or wrong. Comparisons and differences never slip.
public struct ScriptedTeacherModel: LanguageModel {
    /// How often it makes mistakes: probabilities in 0…1.
    public struct Noise: Codable, Sendable, Hashable {
        /// A wrong plan when it acts; decided in the first turn of a run.
        public var agentSlip: Double
        /// A wrong plan when it reasons in prose.
        public var reasoningSlip: Double
        /// A turn without a program.
        public var unreadable: Double

        /// No mistakes by default.
        public init(agentSlip: Double = 0, reasoningSlip: Double = 0, unreadable: Double = 0) {
            self.agentSlip = agentSlip
            self.reasoningSlip = reasoningSlip
            self.unreadable = unreadable
        }
    }

    /// `scripted-teacher`.
    public let identity = "scripted-teacher"
    private let teacher: ScriptedTeacher
    private let tasks: [String: AgentTask]
    private let noise: Noise

    /// - Parameter tasks: those the teacher has plans for; a request is matched to one by its question.
    public init(_ teacher: ScriptedTeacher, tasks: [AgentTask], noise: Noise = Noise()) {
        self.teacher = teacher
        self.tasks = Dictionary(tasks.map { ($0.question, $0) }, uniquingKeysWith: { first, _ in first })
        self.noise = noise
    }

    /// The next turn of the chat in each sample, whole in one event. Token counts are estimated as a quarter of the
    /// bytes.
    ///
    /// The stream throws `TeacherError.unknownTask` when the chat's question is not one of the tasks'.
    public func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream { continuation in
            do {
                for sample in 0..<request.samples {
                    let text = try reply(to: request, sample: sample)
                    let usage = Usage(
                        promptTokens: sample == 0 ? request.messages.map(\.text.utf8.count).reduce(0, +) / 4 : 0,
                        completionTokens: text.utf8.count / 4 + 1)
                    continuation.yield(.text(sample: sample, text))
                    continuation.yield(
                        .finished(sample: sample, Completion(text: text, finish: .endOfTurn, usage: usage)))
                }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
            }
        }
    }

    private func reply(to request: GenerationRequest, sample: Int) throws -> String {
        let question = request.messages.first { $0.role == .user }?.text ?? ""
        // A reasoner's question comes after the passages.
        guard
            let task = tasks[question]
                ?? question.ranges(of: "\n\n").last.flatMap({ tasks[String(question[$0.upperBound...])] })
        else { throw TeacherError.unknownTask(String(question.prefix(80))) }
        var generator = SeededGenerator(seed: request.sampling.seed &+ UInt64(sample), "slip \(task.question)")
        let isAgent = request.messages.first?.text.contains("final_answer") == true
        guard isAgent else { return reasoning(task, &generator) }
        return try turn(task, request, &generator)
    }

    // MARK: Acting

    private func turn(
        _ task: AgentTask, _ request: GenerationRequest, _ generator: inout SeededGenerator
    ) throws -> String {
        let draw = Double.random(in: 0..<1, using: &generator)
        if Double.random(in: 0..<1, using: &generator) < noise.unreadable { return "I look for it first." }
        let steps = Self.steps(request.messages)
        if request.messages.last?.text.hasPrefix("No steps are left") == true {
            return "```py\nfinal_answer(None)\n```"
        }
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: "", model: ""))
        for step in steps { trajectory.append(step) }
        let right = try teacher.next(trajectory)
        guard let wrong = slipped(task, trajectory) else { return Self.text(right, request.prefill) }
        let slips: Bool
        if let first = steps.first?.action.code {
            let start = Trajectory(task: task, provenance: Provenance(policy: "", model: ""))
            slips = first == slipped(task, start)?.program
        } else if request.prefill.contains(firstSentence(task, slips: false)) {
            slips = false
        } else if request.prefill.contains(firstSentence(task, slips: true)) {
            slips = true
        } else {
            slips = draw < noise.agentSlip
        }
        return Self.text(slips ? wrong : right, request.prefill)
    }

    private static func text(_ turn: (thought: String, program: String), _ prefill: String) -> String {
        let text = CodeAgentView.turn(turn.thought, .code(turn.program))
        return prefill.isEmpty ? text : String(text.dropFirst("Thought: ".count))
    }

    /// The turns and observations in a code agent's chat.
    private static func steps(_ messages: [Message]) -> [Step] {
        let mark = "Observation:\n"
        return zip(messages, messages.dropFirst()).compactMap { said, seen in
            guard said.role == .assistant, seen.text.hasPrefix(mark) else { return nil }
            let (thought, action) = ActionParser.codeTurn(said.text)
            return Step(
                thought: thought, action: action,
                observation: Observation(text: String(seen.text.dropFirst(mark.count)), outcome: .success))
        }
    }

    // MARK: Slipping

    /// The next turn of the wrong plan; nil when there is none to slip into.
    private func slipped(_ task: AgentTask, _ trajectory: Trajectory) -> (thought: String, program: String)? {
        if let plan = teacher.problems[task.id] { return teacher.computation(Self.slipped(plan), trajectory) }
        guard case .chain(let start, let relations) = teacher.factual[task.id],
            let wrong = slipped(relations, of: start)
        else { return nil }
        return teacher.chain(start, [wrong], trajectory)
    }

    /// Another operation first.
    private static func slipped(_ plan: WordProblems.Plan) -> WordProblems.Plan {
        let wrong: WordProblems.Operation = plan.operations.first == .more ? .fewer : .more
        return WordProblems.Plan(
            numbers: plan.numbers, operations: [wrong] + plan.operations.dropFirst(), result: plan.result)
    }

    /// Another relation of the same entity.
    private func slipped(_ relations: [Relation], of entity: Int) -> Relation? {
        let others = Relation.of(teacher.world.entities[entity].kind).filter { $0 != relations.first }
        return others.isEmpty ? nil : others[entity % others.count]
    }

    // MARK: Reasoning

    /// A solution in one of the forms that language models like: with a heading, in one paragraph, or in two.
    private func reasoning(_ task: AgentTask, _ generator: inout SeededGenerator) -> String {
        let slips = Double.random(in: 0..<1, using: &generator) < noise.reasoningSlip
        let (sentences, answer) = solution(task, slips: slips)
        let closing = "Answer: \(answer)"
        guard noise != Noise() else { return "\(sentences.joined(separator: " "))\n\(closing)" }
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: return "### Solution\n\n\(sentences.joined(separator: "\n\n"))\n\n\(closing)"
        case 1: return "\(sentences.joined(separator: " ")) The answer is \(answer)."
        default: return "\(sentences.first ?? "")\n\n\(sentences.dropFirst().joined(separator: " "))\n\n\(closing)"
        }
    }

    private func firstSentence(_ task: AgentTask, slips: Bool) -> String {
        // A NUL, which no prefill contains: there is no first sentence to look for.
        solution(task, slips: slips).sentences.first ?? "\u{0}"
    }

    private func solution(_ task: AgentTask, slips: Bool) -> (sentences: [String], answer: String) {
        if let plan = teacher.problems[task.id] {
            let used = slips ? Self.slipped(plan) : plan
            let sentences = ScriptedTeacher.arithmetic(used).split(separator: ". ").map {
                $0.hasSuffix(".") ? String($0) : "\($0)."
            }
            let result = sentences.last?.split(separator: " ").last.map { $0.filter { $0.isNumber || $0 == "-" } } ?? ""
            return (sentences, slips ? result : task.answers.first ?? "")
        }
        if slips, case .chain(let start, let relations) = teacher.factual[task.id],
            let wrong = slipped(relations, of: start)
        {
            let value = teacher.world.value(wrong, of: start).map(teacher.world.text) ?? ""
            return ([teacher.world.statement(wrong, of: start) ?? ""], value)
        }
        return (
            teacher.statements(task) ?? [], task.answers.first ?? ""
        )
    }
}
