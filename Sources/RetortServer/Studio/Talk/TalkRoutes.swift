import Hummingbird
import RetortCore
import RetortRecipes

/// Talks with agents.
struct TalkRoutes {
    let core: StudioCore

    func add(to router: Router<ServerContext>) {
        router.get("/talk") { _, _ in
            try core.page(await TalksPage(core.talks), "talks", title: "Talk", here: "/talk")
        }
        router.post("/talk") { request, _ in
            let form = try await StudioForm(request, core.options)
            let names = [try form.required("agent"), form.text("beside")].compactMap(\.self)
            return Response.see("/talk/\(try await core.talks.begin(with: names).id)")
        }
        router.get("/talk/:talk") { _, context in
            let talk = try await talk(context)
            return try core.page(await TalkPage(talk), "talk", title: "Talk", here: "/talk")
        }
        router.get("/talk/:talk/live") { _, context in
            let talk = try await talk(context)
            return try await core.live(context) { try await parts(talk) }
        }
        router.get("/talk/:talk/text") { request, context in
            let (asked, talk) = (StudioQuery(request), try await talk(context))
            let look = await talk.sides.dropFirst(max(asked.integer("side") ?? 0, 0)).first?.look
            let all = (look?.past ?? []) + [look?.now].compactMap(\.self)
            guard let trajectory = all.dropFirst(max(asked.integer("turn") ?? 0, 0)).first else {
                throw Response.noPart
            }
            return try Response.text(trajectory.part(try asked.required("part"), step: asked.integer("step")))
        }
        router.post("/talk/:talk/say") { request, context in
            let form = try await StudioForm(request, core.options)
            let words = try form.required("words")
            return try await act(context, form) { side in try await side.ask(words) }
        }
        router.post("/talk/:talk/back") { request, context in
            let form = try await StudioForm(request, core.options)
            guard let step = Int(try form.required("step")) else { throw APIError.invalid("'step' must be a number") }
            return try await act(context, form) { side in try await side.goOn(from: step, form.text("remark")) }
        }
        router.post("/talk/:talk/go") { request, context in
            let form = try await StudioForm(request, core.options)
            return try await act(context, form) { side in try await side.goOn(from: nil, form.text("remark")) }
        }
        router.post("/talk/:talk/stop") { request, context in
            let form = try await StudioForm(request, core.options)
            return try await act(context, form) { side in await side.stop() }
        }
        router.post("/talk/:talk/save") { request, context in
            let form = try await StudioForm(request, core.options)
            let folder = core.places.talks
            return try await act(context, form) { side in try await side.save(in: folder) }
        }
    }

    private func talk(_ context: ServerContext) async throws -> Talk {
        try await core.talks.talk(try context.parameters.require("talk"))
    }

    /// Acts on the side that a form names, or on all sides.
    private func act(
        _ context: ServerContext, _ form: StudioForm, _ action: @Sendable (TalkSide) async throws -> Void
    ) async throws -> Response {
        let talk = try await talk(context)
        let number = form.text("side").flatMap { Int($0) }
        do {
            for (index, side) in talk.sides.enumerated() where number ?? index == index { try await action(side) }
        } catch let refusal as AgentTalk.Refusal {
            throw APIError(status: .conflict, code: "not_now", message: "\(refusal)")
        }
        return Response.see("/talk/\(talk.id)")
    }

    /// The parts that change while agents work: each side as HTML, and the text being written as JSON.
    private func parts(_ talk: Talk) async throws -> (parts: [StudioCore.Part], seconds: Double) {
        var parts: [StudioCore.Part] = []
        var isBusy = false
        for (number, side) in talk.sides.enumerated() {
            let look = await side.look
            isBusy = isBusy || look.isBusy
            let key = "\(look.version) \(look.isBusy)"
            parts.append(
                StudioCore.Part(name: "side-\(number)", key: key) {
                    try core.templates.part(TalkPart(look, side.name, number, talk), "side")
                })
            let writing = JSONValue.string(VisibleText.visible(look.writing)).jsonText
            parts.append(StudioCore.Part(name: "writing-\(number)", key: writing) { writing })
        }
        return (parts, isBusy ? 0.12 : 0.4)
    }
}
