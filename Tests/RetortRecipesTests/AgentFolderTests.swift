import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortLLM
import RetortPython
import RetortStore
import Testing

@testable import RetortRecipes

/// A trajectory but for what it cost.
private func work(_ trajectory: Trajectory) -> [String] {
    trajectory.steps.map { "\($0.thought)|\($0.action)|\($0.observation.text)" } + ["\(trajectory.ending as Any)"]
}

@Suite("Portable agents", .serialized, .timeLimit(.minutes(30)))
struct AgentFolderTests {
    @Test("an agent answers elsewhere as it did in its run, when run, domain and base's place are gone")
    func elsewhere() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        try bench.writeDomain()
        _ = try await RecipeRun(bench.deskRecipe(), folder: bench.run).run()
        let systems = ["cot", "cot+rag", "agent"]
        var known: [String: Trajectory] = [:]
        for system in systems { known[system] = try await bench.evaluated("evaluate/s/\(system)").first }
        #expect(known.count == 3 && known["cot+rag"]?.steps.first?.observation.text.contains("Open from 9") == true)
        let copies = try systems.map { try bench.copied("s/\($0)") }
        let moved = bench.url.appendingPathComponent("other/place")
        try FileManager.default.createDirectory(
            at: moved.deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.moveItem(at: bench.base, to: moved)
        for gone in ["run", "desk"] {
            try FileManager.default.removeItem(at: bench.url.appendingPathComponent(gone))
        }
        // Both kinds of chain of thought have weights of their own, and need no base.
        for (system, copy) in zip(systems, copies).prefix(2) {
            let agent = try await Agent(contentsOf: copy, options: bench.options())
            let task = try #require(known[system]?.task)
            let again = try await agent.rollout().trajectory(for: task)
            #expect(work(again) == known[system].map(work), "\(system)")
            #expect(throws: AgentError.self) { try agent.rollout(AgentWay(search: .depthFirst)) }
            await agent.close()
        }
        let error = await #expect(throws: AgentError.self) {
            try await Agent(contentsOf: copies[2], options: bench.options())
        }
        #expect(error?.description.contains("--base") == true, "\(error as Any)")
        let agent = try await Agent(contentsOf: copies[2], options: bench.options(base: moved))
        let again = try await agent.rollout().trajectory(for: try #require(known["agent"]?.task))
        #expect(work(again) == known["agent"].map(work))
        #expect(again.state == known["agent"]?.state && again.provenance.prompt == known["agent"]?.provenance.prompt)
        let voted = try await agent.rollout(AgentWay(search: .vote)).trajectory(for: agent.task("Lend B2."))
        #expect(voted.steps.first?.candidates.count == 3)
        await agent.close()
    }

    @Test("its tools, the data that they read and its documents came along; the run's lock is nobody's matter")
    func tools() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        try bench.writeDomain()
        try await RecipeRun(bench.deskRecipe(), folder: bench.run).run(until: .train)
        let lock = try RunFolder(bench.run)
        let (found, _) = try AgentPlaces(bench.run).one()
        #expect(found.title == "s/agent")
        let agent = try await Agent(contentsOf: found.folder, options: bench.options())
        #expect(agent.plan.guidance == "You lend books." && agent.plan.tools.map(\.name) == ["lend", "rules"])
        let session = try await agent.session(for: agent.task("Lend B2."))
        let lent = try await session.perform(.code("print(lend('B2'))\nprint(rules('hours'))"))
        #expect(lent.text.contains("B2 lent") && lent.text.contains("Open from 9 to 5."), "\(lent)")
        #expect(try await session.state()?["B2"] == "out")
        await session.close()
        await agent.close()
        withExtendedLifetime(lock) {}
    }

    @Test("of a user's files copies are kept, and nothing of the run is trained again for a folder that is gone")
    func stage() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        try bench.writeDomain()
        let recipe = try bench.deskRecipe()
        try await RecipeRun(recipe, folder: bench.run).run(until: .train)
        let folder = bench.run.appendingPathComponent("agent/s/agent")
        let copy = folder.appendingPathComponent("domain/code/desk.py")
        let links = try FileManager.default.attributesOfItem(atPath: copy.path)[.referenceCount] as? NSNumber
        #expect(links == 1)
        func plan() async throws -> [String] {
            try await RecipeRun(recipe, folder: bench.run).plan(until: .train).entries.filter { $0.action != .keep }
                .map(\.stage)
        }
        #expect(try await plan().isEmpty)
        // Somebody stopped the writing before its end.
        try FileManager.default.moveItem(
            at: folder, to: folder.deletingLastPathComponent().appendingPathComponent(".agent.unfinished"))
        #expect(try await plan() == ["agent/s/agent"])
        #expect(try AgentPlaces(bench.run).found.map(\.title) == ["s/cot", "s/cot+rag"])
        let trained = try Manifest(folder: bench.run).stages["train/s/agent"]
        try await RecipeRun(recipe, folder: bench.run).run(until: .train)
        #expect(try Manifest(folder: bench.run).stages["train/s/agent"] == trained)
        #expect(try AgentPlaces(bench.run).found.map(\.title) == ["s/cot", "s/cot+rag", "s/agent"])
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.deletingLastPathComponent().path)
        #expect(names.sorted() == ["agent", "cot", "cot+rag"])
        // Documents are those of the agents that search them.
        try bench.write("desk/rules/pets.md", "# Pets\n\nNo dogs.\n")
        let open = try await plan()
        #expect(open.contains("agent/s/cot+rag") && open.contains("agent/s/agent"))
        // What a recipe no longer makes is not met in its run.
        var shorter = recipe
        shorter.training[.cot] = nil
        try await RecipeRun(shorter, folder: bench.run).run(until: .train)
        #expect(try AgentPlaces(bench.run).found.map(\.title) == ["s/cot+rag", "s/agent"])
    }

    @Test("a run for some of the students leaves what the others have learned, and names that nobody has are refused")
    func someStudents() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        try bench.writeDomain()
        var recipe = try bench.deskRecipe()
        recipe.training = recipe.training.filter { $0.key == .cot }
        recipe.evaluation.systems = [.cot]
        recipe.students.append(Recipe.Student(name: "t", base: bench.base.path))
        try await RecipeRun(recipe.keeping(students: ["s"]), folder: bench.run).run(until: .train)
        #expect(try AgentPlaces(bench.run).found.map(\.title) == ["s/cot"])
        try await RecipeRun(recipe.keeping(students: ["t"]), folder: bench.run).run(until: .train)
        #expect(try AgentPlaces(bench.run).found.map(\.title) == ["s/cot", "t/cot"])
        #expect(try await RecipeRun(recipe, folder: bench.run).plan(until: .train).isDone)
        #expect(throws: RunError.self) { try recipe.keeping(students: ["s", "u"]) }
        // A student that the recipe no longer has is another matter.
        recipe.students.removeFirst()
        try await RecipeRun(recipe, folder: bench.run).run(until: .train)
        #expect(try AgentPlaces(bench.run).found.map(\.title) == ["t/cot"])
    }

    @Test("a team answers elsewhere as in its run, over the base that its adapters go on from")
    func team() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        let recipe = try Recipe(
            yaml: """
                name: team
                domain: {apis: {seed: 1, people: 60, train: 6}}
                students: [{name: a, base: '\(bench.base.path)'}]
                curricula:
                  - name: umi
                    stages:
                      - {name: global, roles: [backbone], training: {epochs: 1, rowTokens: 512, accumulation: 1}}
                      - {name: planner, from: global, roles: [planner], training: &adapter {epochs: 1, rowTokens: 512, accumulation: 1, lora: {rank: 2, alpha: 4, targets: [q_proj]}}}
                      - {name: caller, from: global, roles: [caller], training: *adapter}
                      - {name: summarizer, from: planner, roles: [summarizer], training: *adapter}
                  - name: beside
                    stages:
                      - {name: planner, roles: [planner], training: *adapter}
                      - {name: caller, roles: [caller], training: *adapter}
                      - {name: summarizer, roles: [summarizer], training: *adapter}
                evaluation: {tasks: 1, maxSteps: 2, maxTokens: 8, weights: float32, searches: [greedy, depthFirst], depthFirst: {queries: 3}}
                """, file: "r.yaml")
        _ = try await RecipeRun(recipe, folder: bench.run).run()
        var known: [String: Trajectory] = [:]
        for set in ["umi+greedy", "umi+depthFirst", "beside+greedy"] {
            known[set] = try await bench.evaluated("evaluate/a/\(set)").first
        }
        try FileManager.default.copyItem(
            at: bench.run.appendingPathComponent("agent"), to: bench.elsewhere.appendingPathComponent("agents"))
        try FileManager.default.removeItem(at: bench.run)
        let places = try AgentPlaces(bench.elsewhere.appendingPathComponent("agents"))
        #expect(places.found.map(\.title) == ["a/beside", "a/umi"])
        let group = try await AgentGroup(contentsOf: places.found.map(\.folder), options: bench.options())
        // Three adapters over the base, two over the global stage, one over the planner's merged weights.
        #expect(Set(group.models.map { ObjectIdentifier($0.model) }).count == 3)
        #expect(group.models.contains { $0.name == "a" && $0.adapter == nil })
        for (set, trajectory) in known {
            let (found, way) = try places.one(system: set)
            let agent = try #require(group.agents.first { $0.system == found.system })
            let again = try await agent.rollout(way).trajectory(for: trajectory.task)
            #expect(work(again) == work(trajectory), "\(set)")
        }
        // A question of the user's own has the tools of a task that the agent was made for.
        let agent = group.agents[0]
        #expect(agent.task("What is it?").tools.count == agent.sampleTask?.tools.count)
        #expect(agent.task("What is it?").tools.isEmpty == false)
        await group.close()
    }

    @Test("names of agents and of ways to run them are told apart")
    func names() throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        for (student, system) in [
            ("10m", "agent"), ("2m", "agent"), ("2m", "agent+ftp"), ("2m", "cot"), ("2m", "cot+rag"), ("2m", "umi"),
        ] {
            try bench.write(
                "agents/\(student)/\(system)/agent.json",
                #"{"format": "retort-agent", "version": 1, "student": "\#(student)", "system": "\#(system)"}"#)
        }
        let places = try AgentPlaces(bench.url.appendingPathComponent("agents"))
        func one(_ student: String?, _ system: String?) throws -> String {
            let (agent, way) = try places.one(student: student, system: system)
            return "\(agent.title) \(way.search?.rawValue ?? "-") \(way.outputs?.rawValue ?? "-")"
        }
        #expect(try one(nil, nil) == "10m/agent - -")
        #expect(try one("2m", nil) == "2m/umi - -")
        #expect(try one("2m", "agent+sag") == "2m/agent vote -")
        #expect(try one("2m", "agent+ftp") == "2m/agent+ftp - -")
        #expect(try one("2m", "agent+ftp+sag") == "2m/agent+ftp vote -")
        #expect(try one("2m", "cot+rag") == "2m/cot+rag - -")
        #expect(try one("2m", "cot+sc") == "2m/cot vote -")
        #expect(try one("2m", "umi+depthFirst+grammar") == "2m/umi depthFirst grammar")
        for (student, system) in [("3m", nil), ("2m", "agent+sagg"), ("10m", "cot"), (nil, "")] {
            let error = #expect(throws: AgentError.self) { try one(student, system) }
            #expect(error?.description.contains("2m/agent+ftp") == true)
        }
    }
}

/// Agents that somebody has damaged or made up.
@Suite("Agents of strangers", .serialized, .timeLimit(.minutes(30)))
struct HostileAgentTests {
    /// An agent that nothing was trained for: a tiny model's weights, a module, and an adapter where that is asked for.
    private func agent(_ bench: AgentBench, overBase: Bool = false) async throws -> URL {
        try bench.write("desk/desk.py", Self.module)
        let plan = AgentPlan(
            name: "agent", view: .code(.brief), tools: try await Self.tools.value, limits: .init(steps: 2, tokens: 8),
            search: AgentSearch(), seed: 1)
        let digests = FileDigests()
        var packed = [
            PackedFile(
                source: bench.url.appendingPathComponent("desk/desk.py"), path: "domain/desk.py", isOurs: false)
        ]
        var player = AgentFile.Player(weights: "weights/agent")
        if overBase {
            let adapter = bench.url.appendingPathComponent("adapter")
            let network = try Checkpoint(folder: bench.base).network()
            for (_, linear) in network.projections.prefix(1) {
                linear.adapter = try LowRankAdapter(
                    down: .zeros([2, linear.weight.shape[1]]), up: .zeros([linear.weight.shape[0], 2]), scale: 1)
            }
            try AdapterFile.write(
                network, AdapterConfiguration(baseModel: "/nowhere", rank: 2, alpha: 2, dropout: 0, targets: []),
                to: adapter)
            player = AgentFile.Player(adapter: "adapters/agent")
            packed += ["adapter_config.json", "adapter_model.safetensors"].map {
                PackedFile(source: adapter.appendingPathComponent($0), path: "adapters/agent/\($0)", isOurs: false)
            }
        } else {
            packed += try FileDigests.modelFiles(bench.base).map {
                PackedFile(source: bench.base.appendingPathComponent($0), path: "weights/agent/\($0)", isOurs: false)
            }
        }
        let target = bench.elsewhere.appendingPathComponent("agent")
        let module = try ExactJSON.decode(
            DomainPlan.PythonTools.self,
            from: ["file": "domain/desk.py", "place": "session", "files": [], "effects": [:]])
        try AgentWriter(target, digests).write(
            AgentFile(
                student: "s", system: "agent", agent: plan, prompt: plan.promptIdentity,
                players: ["backbone": player], base: AgentBase(bench.base, digests),
                domain: AgentDomain(name: "desk", family: .factual, python: [module], servers: []), files: [:]), packed)
        return target
    }

    private static let module = "def lend(book: str) -> str:\n    \"\"\"Lends a book.\"\"\"\n    return book\n"

    /// What the module's functions are as tools.
    private static let tools = Task {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-desk-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(module.utf8).write(to: folder.appendingPathComponent("desk.py"))
        let python = try await PythonInterpreter(modules: [PythonModule(folder.appendingPathComponent("desk.py"))])
        let tools = try await python.describeModules().flatMap(\.tools)
        await python.close()
        return tools
    }

    private func error(opening folder: URL, _ options: Agent.Options) async -> String {
        do {
            await (try Agent(contentsOf: folder, options: options)).close()
            return "none"
        } catch {
            return "\(error)"
        }
    }

    @Test("the agent that the others are made from opens, also where nothing may be written")
    func sound() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        let folder = try await agent(bench)
        let before = try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
        let opened = try await Agent(contentsOf: folder, options: bench.options())
        let trajectory = try await opened.rollout().trajectory(for: opened.task("Lend B1."))
        #expect(trajectory.ending != nil && trajectory.provenance.model == "s")
        await opened.close()
        #expect(try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted() == before)
    }

    @Test(
        "every key is known or refused by its name, every number has bounds, no path leads out",
        arguments: [
            (#""seed": 1"#, #""seed": 1, "mood": "good""#, "'agent.mood' is unknown"),
            (#""version": 1"#, #""version": 2"#, "written by a later Retort"),
            (#""version": 1"#, #""version": "1""#, "has no 'version'"),
            (#""format": "retort-agent""#, #""format": "other""#, "no agent of Retort's"),
            (#""steps": 2"#, #""steps": 0"#, "agent.limits.steps must be 1 to 1000"),
            (#""steps": 2"#, #""steps": "two""#, "'agent.limits.steps' is of another type"),
            (#""steps": 2,"#, "", "'agent.limits' lacks 'steps'"),
            (#""weights": "weights/agent""#, #""weights": "../../models/tiny""#, "leads out of the agent's folder"),
            (#""weights": "weights/agent""#, #""weights": "/etc""#, "leads out of the agent's folder"),
            (#""weights": "weights/agent""#, #""weights": "weights/none""#, "'weights/none/config.json' is not there"),
            (#""file": "domain/desk.py""#, #""file": "domain/../../../desk/desk.py""#, "leads out"),
            (#""file": "domain/desk.py""#, #""file": "domain/other.py""#, "'domain/other.py' is not there"),
            (#""kind": "code""#, #""kind": "oracle""#, "agent.view.kind"),
            (#""backbone""#, #""planner""#, "'players' must name backbone, not planner"),
            (#""summary": "Lends a book.""#, #""summary": "Lends two books.""#, "not as the agent learned them: lend"),
            (#""instructions": "brief""#, #""instructions": "full""#, "learned other prompts"),
            ("{", "{{", "it is no JSON"),
        ])
    func keys(original: String, changed: String, message: String) async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        let folder = try await agent(bench)
        let file = folder.appendingPathComponent("agent.json")
        var text = try String(contentsOf: file, encoding: .utf8)
        #expect(text.contains(original))
        text = text.replacing(original, with: changed, maxReplacements: 1)
        try Data(text.utf8).write(to: file)
        let told = await error(opening: folder, bench.options())
        #expect(told.contains(message) && told.contains(folder.path), "\(told)")
    }

    @Test("files that are gone, cut, changed, linked or added are told by their names")
    func files() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        let sound = try await agent(bench)
        let files = FileManager.default
        func told(_ change: (URL) throws -> Void) async throws -> String {
            let copy = bench.elsewhere.appendingPathComponent(UUID().uuidString)
            try files.copyItem(at: sound, to: copy)
            try change(copy)
            return await error(opening: copy, bench.options())
        }
        let weights = "weights/agent/model.safetensors"
        #expect(try await told { _ in } == "none")
        #expect(
            try await told { try files.removeItem(at: $0.appendingPathComponent(weights)) }
                .contains("'\(weights)' is not there"))
        #expect(
            try await told { folder in
                let handle = try FileHandle(forUpdating: folder.appendingPathComponent(weights))
                try handle.truncate(atOffset: 1000)
                try handle.close()
            }.contains("'\(weights)' has 1000 bytes instead of"))
        #expect(
            try await told { folder in
                let handle = try FileHandle(forUpdating: folder.appendingPathComponent(weights))
                try handle.seek(toOffset: 5000)
                try handle.write(contentsOf: Data([0x5A, 0xA5]))
                try handle.close()
            }.contains("SHA-256 differs"))
        #expect(
            try await told { folder in
                let module = folder.appendingPathComponent("domain/desk.py")
                try files.moveItem(at: module, to: bench.elsewhere.appendingPathComponent("desk-\(UUID())"))
                try files.createSymbolicLink(
                    at: module, withDestinationURL: bench.url.appendingPathComponent("desk/desk.py"))
            }.contains("'domain/desk.py' is a link"))
        #expect(
            try await told { folder in
                let home = folder.appendingPathComponent("weights/agent")
                try files.removeItem(at: home)
                try files.createSymbolicLink(at: home, withDestinationURL: bench.base)
            }.contains("'weights/agent' is a link"))
        #expect(
            try await told { folder in
                try Data("x".utf8).write(to: folder.appendingPathComponent("weights/agent/chat_template.jinja"))
            }.contains("does not name 'weights/agent/chat_template.jinja'"))
        #expect(try await told { try files.removeItem(at: $0.appendingPathComponent("agent.json")) } != "none")
    }

    @Test("processes with the user's rights are not started for a stranger")
    func processes() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        let folder = try await agent(bench)
        let file = folder.appendingPathComponent("agent.json")
        let sound = try String(contentsOf: file, encoding: .utf8)
        try Data(sound.replacing(#""place": "session""#, with: #""place": "host""#).utf8).write(to: file)
        let told = await error(opening: folder, bench.options())
        #expect(told.contains("--allow-host") && told.contains("domain/desk.py"), "\(told)")
        let server = #""servers": [{"command": ["touch", "x"], "lifetime": "run", "effects": {}}]"#
        let pattern = /"servers": \[\s*\]/
        try Data(sound.replacing(pattern, with: server).utf8).write(to: file)
        let command = await error(opening: folder, bench.options())
        #expect(command.contains("'touch x'"), "\(command)")
    }

    @Test("a base is known by its content: where it was, beside the agent, among the user's models, or named")
    func base() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        let folder = try await agent(bench, overBase: true)
        let base = try AgentFolder(folder).file.base
        func found(_ given: URL? = nil, _ models: String = "") throws -> URL {
            try base.found(
                given: given, beside: folder, title: "s/agent", FileDigests(), environment: ["RETORT_MODELS": models])
        }
        #expect(try found().path == bench.base.path)
        await (try Agent(contentsOf: folder, options: bench.options())).close()
        let other = bench.url.appendingPathComponent("models/other")
        try AgentBench.writeBase(to: other, seed: 4)
        let wrong = #expect(throws: AgentError.self) { try found(other) }
        #expect(wrong?.description.contains("is not the base of s/agent") == true)
        // Of the same size and name, and not the same.
        let far = bench.url.appendingPathComponent("far/models/x")
        try FileManager.default.createDirectory(at: far.deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.moveItem(at: bench.base, to: far)
        try FileManager.default.moveItem(at: other, to: bench.base)
        let missing = #expect(throws: AgentError.self) { try found() }
        #expect(missing?.description.contains("was not found") == true)
        #expect(try found(nil, "/nowhere:\(far.deletingLastPathComponent().path)").path == far.path)
        #expect(try found(far).path == far.path)
        try FileManager.default.copyItem(at: far, to: bench.elsewhere.appendingPathComponent("any-name"))
        #expect(try found().lastPathComponent == "any-name")
    }
}
