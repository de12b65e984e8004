import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortPython

/// What a user provides for learning: tasks with their splits, tools, documents, how a task's state is set up, and how
/// an answer, or the final state, is graded.
///
/// The built-in world, its APIs and a user's folder are domains; nothing above this protocol knows which one it has.
/// Every form of agent, search, teacher and student works in every domain that supports its form of action.
public protocol Domain: Sendable {
    /// The domain's name, for records and reports.
    var name: String { get }
    /// What a teacher works on; empty where recorded trajectories provide the tasks.
    var train: [AgentTask] { get }
    /// Tasks for choosing among the checkpoints of a training: taught as training tasks are, but never trained on.
    /// Empty where there are none.
    var validation: [AgentTask] { get }
    /// What students are measured on, by split.
    var tests: [AgentTask] { get }
    /// What every agent is told about its job; nil for nothing.
    var guidance: String? { get }
    /// The forms of action that the domain supports.
    var forms: Set<ActionForm> { get }
    /// The tools that an agent is offered, except those that come with a task itself.
    var tools: [ToolSpecification] { get }
    /// The tools that the host answers; the others are the session's own.
    var hostTools: [any Tool] { get }
    /// Fetches passages for a question: a tool with the single argument `query`. Nil where there are no documents.
    var retriever: (any Tool)? { get }
    /// The corpus that the retriever searches, as JSON Lines of passages.
    var documents: URL? { get }
    /// The interpreter whose sessions have the domain's own functions; nil where any interpreter will do.
    var interpreter: PythonInterpreter? { get }
    /// The teacher when a recipe names none.
    var teacher: (any DomainTeacher)? { get }
    /// The most characters of an observation that agents of JSON calls and of roles are shown; nil is the view's usual
    /// limit.
    var observationLimit: Int? { get }
    /// Whether test questions are dealt so that none of them is a training question.
    var dealsTests: Bool { get }

    /// A fresh session for a task.
    /// - Parameters:
    ///   - tools: the host's tools, or stand-ins for them, such as ones that record and replay.
    ///   - python: the interpreter, started when it is first asked for.
    func session(
        for task: AgentTask, form: ActionForm, tools: [any Tool],
        python: @Sendable () async throws -> PythonInterpreter
    ) async throws -> any Environment

    /// The grader of runs; nil is the usual graders of factual and mathematical answers.
    /// - Parameter judge: a model that judges by rubrics, where a recipe names one.
    func grader(symbolic: SymbolicJudge?, judge: RubricJudge?) -> (any TrajectoryGrader)?

    /// Graders that are reported in addition to the one that decides, by name.
    func otherGraders(
        symbolic: SymbolicJudge?, judge: RubricJudge?
    ) -> [(name: String, grader: any TrajectoryGrader)]

    /// What a part of the domain consists of, by name and content. A change of any of them makes results that depend on
    /// the part outdated.
    /// - Parameter digest: a file's SHA-256 in hexadecimal digits.
    func content(of part: DomainPart, digest: (URL) throws -> String) throws -> [(name: String, value: String)]

    /// Closes everything that it holds open.
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
    /// What is reported in addition.
    case otherGrading
}

/// The teacher that a domain provides itself: a program that knows how its tasks are solved.
public protocol DomainTeacher: Sendable {
    /// What acts in a form; nil where it cannot.
    func policy(_ form: ActionForm) -> (any Policy)?
    /// How it explores a task.
    func search(for task: AgentTask) -> any Search
    /// Its chain of thought for a task; nil where it has none.
    /// - Parameter passages: what was fetched for the question beforehand.
    func reasoned(_ task: AgentTask, passages: (query: String, text: String)?) -> Trajectory?
    /// The same teacher as a language model, which reads chats and may make mistakes; nil where it cannot be one.
    func model(for tasks: [AgentTask]) -> (any LanguageModel)?
    /// Whether it teaches as a model even where that is not required, because it makes mistakes.
    var slips: Bool { get }
    /// The most steps it takes; nil leaves it to the recipe.
    var maximumSteps: Int? { get }
    /// What its trajectories depend on besides the tasks, by name and content.
    var content: [(name: String, value: String)] { get }
}

extension DomainTeacher {
    /// Takes each step as it comes.
    public func search(for task: AgentTask) -> any Search { GreedySearch() }
    /// Writes no chains of thought.
    public func reasoned(_ task: AgentTask, passages: (query: String, text: String)?) -> Trajectory? { nil }
    /// Cannot act as a model.
    public func model(for tasks: [AgentTask]) -> (any LanguageModel)? { nil }
    /// Makes no mistakes.
    public var slips: Bool { false }
    /// Leaves the limit to the recipe.
    public var maximumSteps: Int? { nil }
    /// Nothing but the tasks.
    public var content: [(name: String, value: String)] { [] }
}

extension Domain {
    /// No validation tasks.
    public var validation: [AgentTask] { [] }
    /// No instructions.
    public var guidance: String? { nil }
    /// The view's usual limit.
    public var observationLimit: Int? { nil }
    /// No search.
    public var retriever: (any Tool)? { nil }
    /// No corpus.
    public var documents: URL? { nil }
    /// Any interpreter will do.
    public var interpreter: PythonInterpreter? { nil }
    /// No teacher of its own.
    public var teacher: (any DomainTeacher)? { nil }
    /// Test questions are dealt apart from training questions.
    public var dealsTests: Bool { true }
    /// The host's tools alone.
    public var tools: [ToolSpecification] { hostTools.map(\.specification) }
    /// The usual grader of each kind of task.
    public func grader(symbolic: SymbolicJudge?, judge: RubricJudge?) -> (any TrajectoryGrader)? { nil }
    /// No further graders.
    public func otherGraders(
        symbolic: SymbolicJudge?, judge: RubricJudge?
    ) -> [(name: String, grader: any TrajectoryGrader)] { [] }
    /// Does nothing: nothing is held open.
    public func close() async {}
}
