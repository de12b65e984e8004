import RetortAgents
import RetortCore
import RetortWorld

/// The API world of a run: tasks, teacher and sessions.
struct APISource: Sendable {
    let train: [APITasks.Item]
    let tests: [APITasks.Item]
    let teacher: APITeacher
    private let backend: APIBackend

    init(_ plan: Recipe.APIWorldPlan, tests count: Int) throws {
        let world = World(seed: plan.seed, people: plan.people)
        let tasks = try APITasks(world, seed: plan.seed)
        train = tasks.items("train", count: plan.train)
        let taken = Set(train.map(\.task.question))
        tests = ["in", "out"].flatMap { tasks.items($0, count: count, excluding: taken) }
        teacher = APITeacher(train)
        backend = try APIBackend(world)
    }

    /// A session with the APIs that a task offers.
    func session(for task: AgentTask) -> APISession { APISession(backend, offered: task.tools.map(\.name)) }

    /// Whether the teacher works on a task with a search that goes back: all tasks it strays on, and some others, so that
    /// students also see where going back is in vain.
    func isSearched(_ item: APITasks.Item) -> Bool {
        item.plan.strays || Dealing.part(of: item.task.id, among: 4) == 0
    }
}
