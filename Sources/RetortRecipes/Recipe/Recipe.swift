import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortLLM
import RetortTraining
import RetortWorld

/// A point in the space of distillations: whose trajectories train which students in which views, and what is measured.
public struct Recipe: Codable, Sendable, Hashable {
    /// The name of the run's folder.
    public var name: String
    /// The seed of everything that is drawn.
    public var seed: UInt64
    /// What is learned: tasks, tools, documents, graders.
    public var domain: DomainChoice
    /// A model that teaches instead of the domain's own teacher; nil for none.
    public var teacher: TeacherPlan?
    /// Recorded trajectories that teach; nil for none.
    public var recorded: RecordedTeacher?
    /// Which trajectories are learned from.
    public var filter: FilterPlan?
    /// The base models that become students.
    public var students: [Student]
    /// Names of students that the recipe has and this run leaves alone; nil where it is about all of them.
    public var leftOut: [String]?
    /// How each kind of student is trained; a trained system is evaluated only when its kind is listed here.
    public var training: [Style: TrainingPlan]
    /// Which tasks trainings hold out by default; nil for none.
    public var validation: ValidationChoice?
    /// What students do after they have learned from the teacher, by kind; nil in recipes without rounds.
    public var rounds: [Style: [RoundPlan]]?
    /// Agents of roles, each made by a list of training stages; nil in recipes without them.
    public var curricula: [Curriculum]?
    /// What is measured.
    public var evaluation: EvaluationPlan
    /// A model that judges factual answers of the evaluation, or by the domain's rubrics; nil for none.
    public var judge: JudgePlan?
    /// Published test sets that are measured in addition to the domain's own tests; nil for none.
    public var benchmarks: BenchmarkPlan?
    /// The share of a stage's items that may fail, in 0…1; nil is 0.05.
    public var maximumFailures: Double?

    /// The most characters of an observation that agents of JSON calls and of roles are shown; nil leaves it to the
    /// domain.
    public var observationLimit: Int?

    static let usualMaximumFailures = 0.05

    /// A base checkpoint.
    public struct Student: Codable, Sendable, Hashable {
        /// The student's name, which is also that of its folder.
        public var name: String
        /// The base's folder or GGUF file, or a name that `locatingModels` resolves.
        public var base: String
    }

    /// What a student learns to do.
    public enum Style: String, Codable, Sendable, CaseIterable, CodingKeyRepresentable {
        /// Answers with a chain of thought.
        case cot
        /// Answers with a chain of thought over passages fetched for the question.
        case cotWithRetrieval = "cot+rag"
        /// Acts by writing Python.
        case agent
        /// An agent that learns from a teacher whose first turn began with the first thought of the teacher's chain of
        /// thought.
        case agentWithFirstThought = "agent+ftp"

        /// An agent that writes one call with JSON arguments per turn.
        case toolAgent = "tool-agent"

        /// Whether it acts, instead of answering in one go.
        public var isAgent: Bool { form != nil }

        /// How it acts; nil for styles that answer in one go.
        public var form: ActionForm? {
            switch self {
            case .cot, .cotWithRetrieval: nil
            case .agent, .agentWithFirstThought: .code
            case .toolAgent: .json
            }
        }
    }

    /// Which published test sets are measured, and how.
    public struct BenchmarkPlan: Codable, Sendable, Hashable {
        /// The names of the test sets; see `retort benchmarks`.
        public var names: [String]
        /// The folder that contains their files.
        public var folder: String
        /// The most questions of each; nil takes all.
        public var limit: Int?
        /// Which rules mathematical answers are graded by.
        public var compatibility: FamilyGrader.Compatibility

        init(_ reader: YAMLReader) {
            names = reader.strings("names") ?? Benchmark.paper.map(\.name)
            for name in names where !Benchmark.all.contains(where: { $0.name == name }) {
                let known = Benchmark.all.map(\.name)
                let hint = YAMLReader.nearest(name, among: known).map { "; did you mean '\($0)'?" } ?? ""
                reader.refuse(
                    "names", "there is no benchmark '\(name)'; known are \(known.joined(separator: ", "))\(hint)")
            }
            folder = reader.string("folder")
            limit = reader.has("limit") ? reader.integer("limit", default: 1, in: 1...1_000_000) : nil
            compatibility = reader.choice("compatibility", default: .retort)
        }
    }

    /// A kind of student and a way of running it.
    public enum System: String, Codable, Sendable, CaseIterable {
        /// A trained student with a chain of thought.
        case cot
        /// A trained student with a chain of thought over fetched passages.
        case cotWithRetrieval = "cot+rag"
        /// A trained agent that writes Python.
        case agent
        /// The same with a vote on each step (self-consistent action generation).
        case agentWithVote = "agent+sag"
        /// A trained agent whose teacher began with a first thought (first-thought prefix).
        case agentWithFirstThought = "agent+ftp"
        /// The same with a vote on each step.
        case agentWithFirstThoughtAndVote = "agent+ftp+sag"
        /// Chain of thought, with the answer that most of several samples give.
        case cotWithVote = "cot+sc"
        /// The untrained base, instructed by its prompt.
        case promptedReasoning = "cot-prompt"
        /// The untrained base as an agent that writes Python.
        case promptedAgent = "agent-prompt"
        /// A trained agent that writes one call with JSON arguments per turn.
        case toolAgent = "tool-agent"
        /// The same with a vote on each step.
        case toolAgentWithVote = "tool-agent+sag"
        /// The untrained base as an agent that writes calls.
        case promptedToolAgent = "tool-agent-prompt"

        /// The systems measured when a recipe does not say.
        static let usual: [System] = [.cot, .cotWithRetrieval, .agent, .agentWithVote]

        /// The style of its student, and so the training that it needs if it needs any.
        public var style: Style {
            switch self {
            case .cot, .cotWithVote, .promptedReasoning: .cot
            case .cotWithRetrieval: .cotWithRetrieval
            case .agent, .agentWithVote, .promptedAgent: .agent
            case .agentWithFirstThought, .agentWithFirstThoughtAndVote: .agentWithFirstThought
            case .toolAgent, .toolAgentWithVote, .promptedToolAgent: .toolAgent
            }
        }

        /// Whether it is a trained student that takes each step without a vote.
        var isPlain: Bool { isTrained && !isVoted }

        /// Whether several samples vote.
        var isVoted: Bool {
            [.agentWithVote, .agentWithFirstThoughtAndVote, .cotWithVote, .toolAgentWithVote].contains(self)
        }

        /// Whether it is a trained student and not its base.
        public var isTrained: Bool { ![.promptedReasoning, .promptedAgent, .promptedToolAgent].contains(self) }
    }

    /// What is measured.
    public struct EvaluationPlan: Codable, Sendable, Hashable {
        /// The systems to measure.
        public var systems: [System]
        /// The number of tasks for each family and split.
        public var tasks: Int
        /// The most steps of a run before the agent is asked for its answer.
        public var maximumSteps: Int
        /// The most tokens of a turn.
        public var maximumTokens: Int
        /// How many tasks are run at the same time.
        public var concurrency: Int
        /// The most seconds of a program.
        public var programSeconds: Double
        /// How votes are sampled and compared.
        public var vote: VotePlan
        /// The precision of the students' weights; nil takes what is usual on the evaluating machine.
        public var weights: WeightPrecision?
        /// How agents of roles are measured; nil in recipes without them.
        public var roles: RoleEvaluation?
    }

    /// How self-consistent actions are sampled and compared.
    public struct VotePlan: Codable, Sendable, Hashable {
        /// The number of proposals for each step.
        public var samples = 8
        /// The temperature of the proposals.
        public var temperature = 0.4
        /// The share of probability that tokens are drawn from.
        public var topP = 0.8
        /// Which proposals count as the same action.
        public var rule = VoteRule.canonical

        /// - Parameters:
        ///   - samples: the number of proposals for each step.
        ///   - temperature: the temperature of the proposals.
        ///   - topP: the share of probability that tokens are drawn from.
        ///   - rule: which proposals count as the same action.
        public init(samples: Int = 8, temperature: Double = 0.4, topP: Double = 0.8, rule: VoteRule = .canonical) {
            self.samples = samples
            self.temperature = temperature
            self.topP = topP
            self.rule = rule
        }

        /// The search with these votes. Except with the paper's rule, the first sample is the greedy one, so that ties
        /// fall to what the student would have done alone.
        var search: SelfConsistentSearch {
            SelfConsistentSearch(
                samples: samples,
                sampling: Sampling(temperature: temperature, topP: topP, firstIsGreedy: rule != .paper), rule: rule,
                spelling: AnswerSpelling.of)
        }
    }
}

extension Recipe {
    /// Reads a recipe.
    /// - Throws: `RecipeError` with every fault and its line.
    public init(_ file: URL) throws {
        try self.init(yaml: YAMLFile.text(file), file: file.path)
    }

    /// Reads a recipe's text; `file` is used in messages, and its folder resolves paths.
    /// - Throws: `RecipeError` with every fault and its line.
    public init(yaml: String, file: String) throws {
        let root = try YAMLFile.root(yaml, file: file)
        let faults = YAMLReader.Faults()
        let reader = YAMLReader(root, faults: faults)
        self.init(reader, folder: URL(fileURLWithPath: file).deletingLastPathComponent().standardizedFileURL)
        reader.finish()
        guard faults.list.isEmpty else {
            let ordered = faults.list.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
            throw RecipeError(file: file, faults: ordered)
        }
    }

    /// The same for some of its students. What a run made of the others stays.
    /// - Throws: `RunError.noStudent` for a name that no student has.
    public func keeping(students names: [String]) throws -> Recipe {
        if let unknown = names.first(where: { name in !students.contains { $0.name == name } }) {
            throw RunError.noStudent(unknown, known: students.map(\.name))
        }
        var kept = self
        kept.students = students.filter { names.contains($0.name) }
        kept.leftOut = students.map(\.name).filter { !names.contains($0) }
        return kept
    }

    /// - Parameter folder: the recipe's folder.
    init(_ reader: YAMLReader, folder: URL) {
        name = reader.folderName("name")
        seed = UInt64(reader.integer("seed", default: 42))
        let choice = DomainChoice(reader, folder: folder)
        domain = choice ?? .world(WorldPlan())
        (teacher, recorded) =
            reader.mapping("teacher") { teacher -> (TeacherPlan?, RecordedTeacher?) in
                if let recorded = RecordedTeacher(teacher, folder: folder) { return (nil, recorded) }
                return (TeacherPlan(teacher), nil)
            } ?? (nil, nil)
        filter = reader.mapping("filter", FilterPlan.init)
        students = reader.list("students") { student in
            Student(name: student.folderName("name"), base: Self.place(student.string("base"), beside: folder))
        }
        let names = students.map(\.name)
        for name in Set(names) where names.count(where: { $0 == name }) > 1 {
            reader.refuse("students", "two students are named '\(name)'; each trains into a folder of its name")
        }
        if students.isEmpty { reader.refuse("students", "'students' needs at least one base to distil into") }
        let seed = seed
        let held = ValidationChoice.read(reader, inherited: ValidationChoice())
        validation = held
        var rounds: [Style: [RoundPlan]] = [:]
        training =
            reader.mapping("training") { plans in
                Style.allCases.reduce(into: [Style: TrainingPlan]()) { all, style in
                    all[style] = plans.mapping(style.rawValue) {
                        rounds[style] = RoundPlan.list($0, for: style)
                        return TrainingPlan(
                            $0, usual: TrainingConfiguration(seed: seed),
                            validation: ValidationChoice.read($0, inherited: held))
                    }
                }
            } ?? [:]
        self.rounds = rounds.isEmpty ? nil : rounds
        let list = reader.list("curricula") { Curriculum($0, seed: seed, validation: held) }
        curricula = list.isEmpty ? nil : list
        let hasRoles = !list.isEmpty
        evaluation =
            reader.mapping("evaluation") { Self.evaluation($0, hasRoles: hasRoles) }
            ?? EvaluationPlan(
                systems: System.usual, tasks: 100, maximumSteps: 5, maximumTokens: 256, concurrency: 48,
                programSeconds: 5, vote: VotePlan())
        let hasRubrics = domain.needsJudge
        judge = reader.mapping("judge") { JudgePlan($0, hasRubrics: hasRubrics) }
        if judge != nil, hasRoles, !hasRubrics {
            reader.refuse("judge", "'curricula' has no factual answers to judge")
        }
        if judge == nil, hasRubrics {
            reader.refuse("judge", "the domain's grader 'judge' needs a model that judges: judge: {endpoint: URL}")
        }
        observationLimit = DomainPlan.observationLimit(reader)
        benchmarks = reader.mapping("benchmarks", BenchmarkPlan.init)
        maximumFailures =
            reader.has("maxFailures")
            ? reader.number("maxFailures", default: Self.usualMaximumFailures, in: 0...1) : nil
        // If the domain could not be read, it is unknown what it supports.
        if choice != nil { check(list, reader) }
        let untrained = evaluation.systems.filter { $0.isTrained && training[$0.style] == nil }
        if training.isEmpty, curricula == nil, !untrained.isEmpty || evaluation.systems.isEmpty {
            let styles = Style.allCases.map(\.rawValue).joined(separator: ", ")
            reader.refuse(
                "training", "'training' needs at least one of \(styles), unless only prompted systems are measured")
        } else {
            for system in untrained {
                reader.refuse("evaluation", "the system '\(system.rawValue)' needs 'training.\(system.style.rawValue)'")
            }
        }
    }

    /// A path of a recipe: beside the recipe if it exists there, otherwise relative to the working directory.
    static func place(_ path: String, beside folder: URL) -> String {
        guard !path.isEmpty, !path.hasPrefix("/") else { return path }
        let beside = folder.appendingPathComponent(path).standardizedFileURL
        return FileManager.default.fileExists(atPath: beside.path) ? beside.path : path
    }

    /// Refuses combinations without a meaning.
    private func check(_ curricula: [Curriculum], _ reader: YAMLReader) {
        let styles = Set(training.keys)
        if teacher == nil, recorded != nil, styles.contains(.agentWithFirstThought) {
            reader.refuse(
                "training", "'agent+ftp' needs a teacher that can be asked; recorded trajectories are as they are")
        }
        if teacher == nil, recorded == nil, case .folder = domain, !styles.isEmpty || !curricula.isEmpty {
            reader.refuse(
                "teacher", "this domain has no teacher of its own: name an 'endpoint', or recorded 'trajectories'")
        }
        if recorded?.train != nil, domain.hasTrainingTasks {
            reader.refuse(
                "teacher",
                "'train' chooses among trajectories that bring the tasks; this domain has training tasks of its own")
        }
        if teacher == nil, rounds?.values.joined().contains(where: { $0.repair != nil }) == true,
            recorded != nil || !domain.hasTeacher
        {
            reader.refuse(
                "training",
                "'repair' needs a teacher that can be asked: name an 'endpoint' or a 'folder' under 'teacher'")
        }
        if teacher == nil, rounds?.values.joined().contains(where: { $0.distance != nil }) == true {
            reader.refuse(
                "training",
                "'distance' needs a teacher's probabilities: name under 'teacher' the 'folder' of a checkpoint with the students' "
                    + "tokenizer, or the 'endpoint' of one that tells prompt_logprobs")
        }
        for style in Style.allCases where styles.contains(style) {
            if let reason = domain.refusal(of: style) {
                reader.refuse("training", "'\(style.rawValue)' has no meaning in this domain: \(reason)")
            }
        }
        if !curricula.isEmpty, !styles.isEmpty {
            reader.refuse("training", "a recipe has 'training' or 'curricula', not both")
        }
        var names: Set<String> = []
        for curriculum in curricula where !names.insert(curriculum.name).inserted {
            reader.refuse("curricula", "two curricula are named '\(curriculum.name)'")
        }
    }

    private static func evaluation(_ reader: YAMLReader, hasRoles: Bool) -> EvaluationPlan {
        let names = reader.strings("systems") ?? (hasRoles ? [] : System.usual.map(\.rawValue))
        for name in names where System(rawValue: name) == nil {
            let known = System.allCases.map(\.rawValue)
            let hint = YAMLReader.nearest(name, among: known).map { "; did you mean '\($0)'?" } ?? ""
            reader.refuse("systems", "there is no system '\(name)'; known are \(known.joined(separator: ", "))\(hint)")
        }
        let usual = VotePlan()
        let vote = reader.mapping("sag") { sag in
            VotePlan(
                samples: sag.integer("samples", default: usual.samples, in: 2...64),
                temperature: sag.number("temperature", default: usual.temperature, in: 0.01...5),
                topP: sag.number("topP", default: usual.topP, in: 0.01...1),
                rule: sag.choice("rule", default: usual.rule))
        }
        return EvaluationPlan(
            systems: names.compactMap(System.init(rawValue:)),
            tasks: reader.integer("tasks", default: 100, in: 0...1_000_000),
            maximumSteps: reader.integer("maxSteps", default: 5, in: 1...100),
            maximumTokens: reader.integer("maxTokens", default: 256, in: 1...100_000),
            concurrency: reader.integer("concurrency", default: 48, in: 1...1024),
            programSeconds: reader.number("programSeconds", default: 5, in: 0.1...600), vote: vote ?? usual,
            weights: reader.choice("weights"), roles: hasRoles ? RoleEvaluation(reader) : nil)
    }
}
