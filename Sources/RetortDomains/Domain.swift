import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortPython

/// What somebody brings to be learned: tasks with their splits, tools, documents, how a task's state is set up, and how an
/// answer, or the state that is left, is graded.
///
/// The built-in world, its APIs and a user's folder are domains; nothing above this protocol knows which one it has. Every
/// form of agent, search, teacher and student works in every domain that its form of action has a meaning in.
public protocol Domain: Sendable {
    /// What it is called.
    var name: String { get }
    /// What a teacher works on; empty where its recorded trajectories bring the tasks.
    var train: [AgentTask] { get }
    /// Tasks that choose among a training's updates: taught as training tasks are, and never trained on. Empty where there are none.
    var validation: [AgentTask] { get }
    /// What students are measured on, by split.
    var tests: [AgentTask] { get }
    /// What every agent is told about its job; nil for nothing.
    var guidance: String? { get }
    /// The forms of action that have a meaning here.
    var forms: Set<ActionForm> { get }
    /// The tools that an agent is offered, but for those that come with a task itself.
    var tools: [ToolSpecification] { get }
    /// Those of the tools that the host answers; the others are the session's own.
    var hostTools: [any Tool] { get }
    /// What fetches passages for a question: a tool with the one argument `query`. Nil where there are no documents.
    var retriever: (any Tool)? { get }
    /// The corpus that the retriever searches, as JSON Lines of passages.
    var documents: URL? { get }
    /// The interpreter whose sessions have the domain's own functions; nil where any interpreter does.
    var interpreter: PythonInterpreter? { get }
    /// Who teaches when a recipe names nobody.
    var teacher: (any DomainTeacher)? { get }
    /// Characters of an observation that agents of JSON calls and of roles are shown; nil is what a view usually shows.
    var observationLimit: Int? { get }
    /// Whether test questions are dealt so that none of them is a training question.
    var dealsTests: Bool { get }

    /// A fresh session for a task.
    /// - Parameters:
    ///   - tools: what answers for the host's tools, such as the same through a tape.
    ///   - python: the interpreter, started when it is first asked for.
    func session(
        for task: AgentTask, form: ActionForm, tools: [any Tool],
        python: @Sendable () async throws -> PythonInterpreter
    ) async throws -> any Environment

    /// What grades a run; nil leaves it to the usual graders of factual and mathematical answers.
    /// - Parameter judge: a model that judges by rubrics, where one was named.
    func grader(symbolic: SymbolicJudge?, judge: RubricJudge?) -> (any TrajectoryGrader)?

    /// Graders that are reported beside the one that decides, by name.
    func otherGraders(
        symbolic: SymbolicJudge?, judge: RubricJudge?
    ) -> [(name: String, grader: any TrajectoryGrader)]

    /// What a part of it is made of, by name and content.
    func content(of part: DomainPart, digest: (URL) throws -> String) throws -> [(name: String, value: String)]

    /// Ends what it holds open.
    func close() async
}

/// A part of a domain that results depend on.
public enum DomainPart: Sendable {
    /// The training tasks.
    case train
    /// The validation tasks.
    case validation
    /// The test tasks.
    case tests
    /// Tools, documents and instructions.
    case tools
    /// What grades.
    case grading
    /// What is reported beside.
    case otherGrading
}

/// Who teaches in a domain by itself: a program that knows how its tasks are solved.
public protocol DomainTeacher: Sendable {
    /// What acts in a form; nil where it does not.
    func policy(_ form: ActionForm) -> (any Policy)?
    /// How it explores a task.
    func search(for task: AgentTask) -> any Search
    /// Its chain of thought for a task; nil where it has none.
    /// - Parameter passages: what was fetched for the question before.
    func reasoned(_ task: AgentTask, passages: (query: String, text: String)?) -> Trajectory?
    /// The same teacher as a language model, which reads chats and may slip; nil where it is none.
    func model(for tasks: [AgentTask]) -> (any LanguageModel)?
    /// Whether it teaches as a model even where it need not, because it slips.
    var slips: Bool { get }
    /// The most steps it takes; nil leaves it to the recipe.
    var maximumSteps: Int? { get }
    /// What its trajectories depend on, by name and content, but for the tasks.
    var content: [(name: String, value: String)] { get }
}

extension DomainTeacher {
    /// Takes each step as it comes.
    public func search(for task: AgentTask) -> any Search { GreedySearch() }
    /// Writes no chains of thought.
    public func reasoned(_ task: AgentTask, passages: (query: String, text: String)?) -> Trajectory? { nil }
    /// Cannot be played by a model.
    public func model(for tasks: [AgentTask]) -> (any LanguageModel)? { nil }
    public var slips: Bool { false }
    public var maximumSteps: Int? { nil }
    public var content: [(name: String, value: String)] { [] }
}

extension Domain {
    public var validation: [AgentTask] { [] }
    public var guidance: String? { nil }
    public var observationLimit: Int? { nil }
    public var retriever: (any Tool)? { nil }
    public var documents: URL? { nil }
    public var interpreter: PythonInterpreter? { nil }
    public var teacher: (any DomainTeacher)? { nil }
    public var dealsTests: Bool { true }
    public var tools: [ToolSpecification] { hostTools.map(\.specification) }
    /// The usual grader of each kind of task.
    public func grader(symbolic: SymbolicJudge?, judge: RubricJudge?) -> (any TrajectoryGrader)? { nil }
    /// Nothing is reported beside it.
    public func otherGraders(
        symbolic: SymbolicJudge?, judge: RubricJudge?
    ) -> [(name: String, grader: any TrajectoryGrader)] { [] }
    /// Nothing is held open.
    public func close() async {}
}
