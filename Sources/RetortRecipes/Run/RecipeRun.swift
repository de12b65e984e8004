import Foundation
import RetortCore
import RetortEvaluation
import RetortPython
import RetortStore

/// Carries out a recipe, stage by stage: teach → filter → train → evaluate → report.
///
/// A stage that was finished with the same inputs is skipped; one that was interrupted goes on where it stood: teaching
/// and evaluation at the next trajectory, training at its last checkpoint.
public actor RecipeRun {
    /// Whether trainings write their samples' tokens beside their losses, as other trainers take them.
    var keepsSamples = false

    /// Has the trainings to come write their samples: `results/samples-STUDENT-KIND.jsonl`, one `{"id", "tokens", "trainable"}` a line.
    public func keepSamples() { keepsSamples = true }

    /// How far to go.
    public enum Goal: Int, Sendable, CaseIterable, Comparable {
        case teach, train, evaluate

        public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    let recipe: Recipe
    let folder: RunFolder
    let store: TrajectoryStore
    let source: TaskSource
    private var stages: [String: Manifest.Stage]
    let sandbox: SandboxLevel
    private var interpreter: PythonInterpreter?
    var openTeacher: EndpointTeacher?
    /// The questions of the recipe's benchmarks, once they have been looked through.
    var benchmarkTasks: [AgentTask]?
    /// What grades, once it was needed.
    var openGrader: FamilyGrader?
    /// What judges factual answers, once it was needed.
    var openJudge: ModelJudge?

    /// Opens the run's folder and makes its tasks.
    /// - Parameter sandbox: the weakest one to run model-written programs in.
    /// - Throws: `RunError` when another process works in the folder or its manifest cannot be read.
    public init(_ recipe: Recipe, folder url: URL, requiring sandbox: SandboxLevel = .restricted) throws {
        self.recipe = recipe
        self.sandbox = sandbox
        folder = try RunFolder(url)
        // A manifest that cannot be read is not the same as none: what it stands for would be made anew, over the old.
        let previous =
            FileManager.default.fileExists(atPath: folder.manifestFile.path) ? try Manifest(folder: url) : nil
        // Another world needs other passages.
        if let previous, previous.recipe.source != recipe.source {
            for name in ["passages.jsonl", "passages.sqlite"] {
                try? FileManager.default.removeItem(at: url.appendingPathComponent(name))
            }
        }
        stages = previous?.stages ?? [:]
        store = try TrajectoryStore(folder.storeFile)
        source = try TaskSource(recipe, folder: folder)
    }

    /// The figures of a run.
    public enum Outcome: Sendable {
        /// Of students that answer questions.
        case answers(EvaluationSummary)
        /// Of agents that call APIs.
        case toolUse(ToolUseSummary)

        /// As `report.md` has it.
        public var table: String {
            switch self {
            case .answers(let summary): MarkdownTable.render(summary)
            case .toolUse(let summary): ToolUseTable.render(summary)
            }
        }

        /// As `summary.json` has it.
        public var json: String {
            get throws {
                let data =
                    switch self {
                    case .answers(let summary): try JSONCoding.prettyEncoder.encode(summary)
                    case .toolUse(let summary): try JSONCoding.prettyEncoder.encode(summary)
                    }
                return String(decoding: data, as: UTF8.self)
            }
        }
    }

    /// Works up to a goal.
    /// - Returns: the figures, when the goal is evaluation.
    @discardableResult
    public func run(until goal: Goal = .evaluate) async throws -> Outcome? {
        try saveManifest()
        if recipe.curricula != nil { return try await runCurricula(until: goal).map(Outcome.toolUse) }
        var hashes: [Recipe.Style: String] = [:]
        for style in Recipe.Style.allCases where recipe.training[style] != nil {
            hashes[style] = try await teach(style)
        }
        guard goal >= .train else { return nil }
        var summary = EvaluationSummary()
        var trained: [String: String] = [:]
        for student in recipe.students {
            for style in Recipe.Style.allCases where recipe.training[style] != nil {
                trained["\(student.name)/\(style.rawValue)"] = try await train(
                    student, style, after: hashes[style] ?? "")
            }
        }
        guard goal >= .evaluate else { return nil }
        for student in recipe.students {
            var measured: [(name: String, records: [RunRecord])] = []
            for system in recipe.evaluation.systems {
                let weights =
                    system.isTrained
                    ? trained["\(student.name)/\(system.style.rawValue)"] : try Self.fingerprint(student.base)
                let (parameters, records) = try await evaluate(student, system, after: weights ?? "")
                summary.add(system.rawValue, student: student.name, parameters: parameters, records)
                measured.append((system.rawValue, records))
            }
            summary.compare(student.name, measured)
            guard recipe.judge != nil else { continue }
            summary.judged = try await (summary.judged ?? []) + judgedSystems(student)
        }
        summary.average()
        try await report(summary)
        return .answers(summary)
    }

    /// The interpreter, started when it is first needed.
    func python() async throws -> PythonInterpreter {
        if let interpreter { return interpreter }
        let started = try await PythonInterpreter(
            limits: PythonLimits(seconds: recipe.evaluation.programSeconds), requiring: sandbox)
        interpreter = started
        return started
    }

    /// Runs a stage unless it is done, and notes that it is.
    /// - Parameters:
    ///   - hash: of everything the stage depends on.
    ///   - reset: removes what another version of the stage left.
    func stage(
        _ name: String, hash: String, reset: () async throws -> Void, body: () async throws -> Void
    ) async throws {
        if let done = stages[name], done.hash == hash { return }
        let begun = "\(name) begun"
        if stages[begun]?.hash != hash {
            try await reset()
            stages[name] = nil
            stages[begun] = Manifest.Stage(hash: hash, seconds: 0, finished: Date())
            try saveManifest()
        }
        let start = ContinuousClock.now
        try await body()
        let seconds = start.duration(to: .now) / .seconds(1)
        stages[begun] = nil
        stages[name] = Manifest.Stage(hash: hash, seconds: seconds, finished: Date())
        try saveManifest()
    }

    private func saveManifest() throws {
        try AtomicFile.write(
            JSONCoding.prettyEncoder.encode(Manifest(recipe: recipe, stages: stages)), to: folder.manifestFile)
    }

    /// A short, stable hash of values and of the hashes of earlier stages.
    static func hash(_ parts: any Encodable...) throws -> String {
        let bytes = try parts.map { String(decoding: try JSONCoding.encoder.encode($0), as: UTF8.self) }
        return String(StableHash.of(bytes.joined(separator: "\n")), radix: 16)
    }
}
