import Foundation
import RetortCore
import RetortRetrieval
import RetortStore
import RetortWorld

/// The tasks of a run and who teaches them.
struct TaskSource: Sendable {
    /// What the teacher works on.
    let train: [AgentTask]
    /// What the students are measured on.
    let tests: [AgentTask]
    /// The teacher.
    let teacher: Teacher
    /// The search over the encyclopedia, when there is one.
    let search: WebSearchTool?
    /// What it searches.
    let documents: URL?
    /// The API world, when the tasks are its.
    let apis: APISource?

    enum Teacher: Sendable {
        case scripted(ScriptedTeacher)
        /// Trajectories that exist already.
        case recorded([Trajectory])
        case apis(APITeacher)
    }

    /// The tools that code agents are given.
    var tools: [any Tool] { search.map { [$0] } ?? [] }

    /// Makes or reads everything; the passage index is kept in the run's folder.
    init(_ recipe: Recipe, folder: RunFolder) throws {
        switch recipe.source {
        case .world(let plan): try self.init(plan, tasks: recipe.evaluation.tasks, folder: folder)
        case .recorded(let plan): try self.init(plan, tasks: recipe.evaluation.tasks)
        case .apis(let plan): self.init(try APISource(plan, tests: recipe.evaluation.tasks))
        }
    }

    private init(_ source: APISource) {
        apis = source
        train = source.train.map(\.task)
        tests = source.tests.map(\.task)
        teacher = .apis(source.teacher)
        search = nil
        documents = nil
    }

    private init(_ plan: Recipe.WorldPlan, tasks: Int, folder: RunFolder) throws {
        apis = nil
        let world = World(seed: plan.seed, people: plan.people)
        // Each world has files of its own: to look at another recipe changes nothing for this one.
        let name = "passages-\(plan.seed)-\(plan.people)"
        let passages = folder.url.appendingPathComponent("\(name).jsonl")
        if !FileManager.default.fileExists(atPath: passages.path) { try world.writePassages(to: passages) }
        let index = folder.url.appendingPathComponent("\(name).sqlite")
        try PassageIndex.buildIfNeeded(from: passages, to: index)
        search = WebSearchTool(try PassageIndex(index), limit: plan.passages)
        documents = passages

        let questions = FactualQuestions(world, seed: plan.seed)
        let problems = WordProblems(seed: plan.seed)
        let factual = questions.items("train", count: plan.trainFactual)
        let math = problems.items("train", count: plan.trainMath)
        train = factual.map(\.task) + math.map(\.task)
        let taken = Set(train.map(\.question))
        tests = ["in", "out"].flatMap { split in
            questions.items(split, count: tasks, excluding: taken).map(\.task)
                + problems.items(split, count: tasks, excluding: taken).map(\.task)
        }
        teacher = .scripted(ScriptedTeacher(world: world, factual: factual, problems: math))
    }

    private init(_ plan: Recipe.RecordedPlan, tasks: Int) throws {
        let all = try ToRAImporter().trajectories(from: URL(fileURLWithPath: plan.trajectories))
        let training = Array(all.prefix(plan.train))
        train = training.map(\.task)
        teacher = .recorded(training)
        search = nil
        documents = nil
        apis = nil
        let rest = all.dropFirst(plan.train).map { trajectory in
            var task = trajectory.task
            task.split = "in"
            return task
        }
        tests =
            try Array(rest.prefix(tasks))
            + plan.tests.flatMap { test in
                try QuestionFile(URL(fileURLWithPath: test.file), family: test.family, split: test.split).tasks
                    .prefix(tasks)
            }
    }
}
