import Foundation
import RetortAgents
import RetortCore
import Testing

@testable import RetortWorld

private let world = World(seed: 5, people: 200)

private func solve(_ items: [APITasks.Item], search: any Search) async throws -> [Trajectory] {
    let backend = try APIBackend(world)
    let teacher = APITeacher(items)
    var done: [Trajectory] = []
    for item in items {
        let names = item.task.tools.map(\.name)
        let rollout = Rollout(policy: teacher, search: search, maximumSteps: 8) {
            APISession(backend, offered: names)
        }
        done.append(try await rollout.trajectory(for: item.task))
    }
    return done
}

@Suite("API world")
struct APIWorldTests {
    @Test(
        "there are at least twelve kinds of services, and each capability has a document and a schema that is understood"
    )
    func catalogue() throws {
        #expect(Set(APICapability.allCases.map(\.category)).count >= 12)
        for capability in APICapability.allCases {
            let document = WorldAPI(capability, provider: "brelun").document
            #expect(!document.function.contains("{"))
            #expect(try document.argumentSchema != .anyObject)
            #expect(WorldAPI(name: document.name)?.capability == capability)
        }
    }

    @Test(
        "the teacher solves every solvable task and gives up the others, straying now and then",
        arguments: ["train", "in", "out"])
    func teacher(split: String) async throws {
        let items = try APITasks(world, seed: 3).items(split, count: 250)
        #expect(items.count == 250)
        for (item, run) in zip(items, try await solve(items, search: DepthFirstSearch(reminder: .kept))) {
            if item.plan.isSolvable {
                #expect(run.answer == item.task.answers.first, "\(item.task.question)\n\(run.steps)")
            } else {
                guard case .giveUp = run.steps.last?.action else {
                    Issue.record("\(item.task.question): \(String(describing: run.ending))")
                    continue
                }
            }
            let isReminded = run.steps.contains { $0.remarks != nil }
            // Who gave up is asked for another way, in vain.
            #expect(!isReminded || item.plan.strays || !item.plan.isSolvable)
            #expect(isReminded || !item.plan.strays)
        }
        let obstacles = Set(items.compactMap { $0.task.metadata["obstacle"]?.string })
        #expect(obstacles.count == APITasks.Obstacle.allCases.count)
        #expect(Set(items.map(\.plan.needs.count)) == [1, 2])
    }

    @Test("what is held out stays out of training, and new tasks have new providers only")
    func splits() throws {
        let tasks = try APITasks(world, seed: 3)
        let known = Set(tasks.items("train", count: 400).flatMap(\.task.tools).map(\.name))
        for name in known {
            #expect(!APICapability.heldOut.contains(try #require(WorldAPI(name: name)).capability))
        }
        let new = tasks.items("out", count: 200)
        #expect(known.isDisjoint(with: new.flatMap(\.task.tools).map(\.name)))
        let categories = new.filter { $0.task.metadata["unseen"] == "category" }
        #expect((40...160).contains(categories.count))
        #expect(categories.allSatisfy { $0.plan.needs.contains { APICapability.heldOut.contains($0.capability) } })
    }

    @Test("the same seed gives the same tasks")
    func repeatable() throws {
        let (one, other) = (try APITasks(world, seed: 3), try APITasks(world, seed: 3))
        #expect(one.items("in", count: 50).map(\.task) == other.items("in", count: 50).map(\.task))
    }

    private func provider(_ reliability: WorldAPI.Reliability) throws -> String {
        try #require((0..<200).map { "p\($0)" }.first { WorldAPI.reliability(of: $0) == reliability })
    }

    @Test("busy APIs answer when asked again, dead ones never; a fork remembers and goes its own way")
    func reliability() async throws {
        let backend = try APIBackend(world)
        let city: JSONValue = ["city": .string(world.entities[world.indices(of: .city)[0]].name)]
        let flaky = WorldAPI(.mayor, provider: try provider(.flaky)).name
        let dead = WorldAPI(.mayor, provider: try provider(.dead)).name
        let session = APISession(backend, offered: [flaky, dead])
        func ask(_ session: any Environment, _ name: String) async throws -> Observation {
            try await session.perform(.toolCall(name: name, arguments: city))
        }
        let early = try await session.fork()
        #expect(try await ask(session, flaky).text == "{\"error\":\"busy, try again\"}")
        let late = try await session.fork()
        #expect(try await ask(session, flaky).outcome == .success)
        #expect(try await ask(late, flaky).outcome == .success)
        #expect(try await ask(early, flaky).outcome.isFailure)
        for _ in 0..<3 { #expect(try await ask(session, dead).outcome.isFailure) }
    }

    @Test("an order that is cancelled in one branch is not in another")
    func state() async throws {
        let steady = try provider(.steady)
        let (cancel, status) = (WorldAPI(.cancelOrder, provider: steady), WorldAPI(.orderStatus, provider: steady))
        let session = APISession(try APIBackend(world), offered: [cancel.name, status.name])
        let other = try await session.fork()
        _ = try await session.perform(.toolCall(name: cancel.name, arguments: ["order": 4242]))
        let check = Action.toolCall(name: status.name, arguments: ["order": 4242])
        #expect(try await session.perform(check).text == "{\"order_status\":\"cancelled\"}")
        #expect(try await other.perform(check).text != "{\"order_status\":\"cancelled\"}")
    }

    @Test(
        "calls that cannot be are refused with what is wrong",
        arguments: [
            ("nothing", "{}", "UnknownAPI"), ("temperature", #"{"city":"X"}"#, "InvalidInput"),
            ("temperature", #"{"city":"X","day":40}"#, "InvalidInput"),
            ("temperature", #"{"city":"X","day":"3"}"#, "InvalidInput"),
            ("temperature", #"{"city":"X","day":3,"more":1}"#, "InvalidInput"),
            ("temperature", #"{"city":"No such city","day":3}"#, "NotFound"),
        ])
    func refusals(capability: String, input: String, type: String) async throws {
        let arguments = try JSONCoding.decoder.decode(JSONValue.self, from: Data(input.utf8))
        let steady = try provider(.steady)
        let session = APISession(try APIBackend(world), offered: [WorldAPI(.temperature, provider: steady).name])
        let observation = try await session.perform(
            .toolCall(name: "\(capability)_\(steady)", arguments: arguments))
        guard case .executionError(type, let message) = observation.outcome else {
            Issue.record("\(observation)")
            return
        }
        #expect(observation.text == JSONValue.object(["error": .string(message)]).jsonText)
    }
}
