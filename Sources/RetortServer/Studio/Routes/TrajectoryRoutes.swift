import Foundation
import Hummingbird
import NIOCore
import RetortCore
import RetortStore

/// Lists of trajectories, a trajectory alone or beside another, its parts in full, and people's labels.
struct TrajectoryRoutes {
    let core: StudioCore

    func add(to router: Router<ServerContext>) {
        router.get("/runs/:run/trajectories") { request, context in
            let run = try run(context)
            let page = try await TrajectoriesPage(run, StudioQuery(request))
            return try core.page(page, "trajectories", title: "Trajectories of \(run.name)", here: "/")
        }
        router.get("/runs/:run/trajectory") { request, context in
            let asked = StudioQuery(request)
            let place = try place(asked, try run(context))
            let page = try await TrajectoryPage(
                place, beside: try beside(asked), mended: asked.text("mended") != nil, in: core.runs.all)
            return try core.page(page, "trajectory", title: page.question.text.shown(upTo: 80), here: "/")
        }
        router.get("/runs/:run/tokens") { request, context in
            let place = try place(StudioQuery(request), try run(context))
            return try core.page(try TokensPage(place), "tokens", title: "Tokens", here: "/")
        }
        router.get("/runs/:run/text") { request, context in try await text(StudioQuery(request), try run(context)) }
        router.post("/runs/:run/label") { request, context in
            let form = try await StudioForm(request, core.options)
            return try await label(form, try place(StudioQuery(request), try run(context)))
        }
        router.post("/runs/:run/mend") { request, context in
            let form = try await StudioForm(request, core.options)
            return try await mend(form, try place(StudioQuery(request), try run(context)))
        }
    }

    private func run(_ context: ServerContext) throws -> StudioRun {
        try core.runs.run(try context.parameters.require("run"))
    }

    private func place(_ asked: StudioQuery, _ run: StudioRun) throws -> TrajectoryPage.Address {
        TrajectoryPage.Address(run: run, set: try asked.required("set"), id: try asked.required("id"))
    }

    private func beside(_ asked: StudioQuery) throws -> TrajectoryPage.Address? {
        guard let run = asked.text("brun") else { return nil }
        return TrajectoryPage.Address(
            run: try core.runs.run(run), set: try asked.required("bset"), id: try asked.required("bid"))
    }

    // MARK: Parts in full

    /// A part as plain text, with nothing added and nothing left out.
    private func text(_ asked: StudioQuery, _ run: StudioRun) async throws -> Response {
        let place = try place(asked, run)
        let entry = try await place.entry()
        let part = try asked.required("part")
        if part == "json" {
            return try Response.text(ExactJSON.indentedText(ExactJSON.tree(entry)))
        }
        return try Response.text(entry.trajectory.part(part, step: asked.integer("step")))
    }

    // MARK: Labels

    private func label(_ form: StudioForm, _ place: TrajectoryPage.Address) async throws -> Response {
        let entry = try await place.entry()
        let note = String((form.text("note") ?? "").prefix(Self.longestNote))
        var label: TrajectoryLabel?
        switch try form.required("label") {
        case "none": label = nil
        case "mended":
            guard let mended = entry.label?.mended else { throw APIError.invalid("nothing was mended yet") }
            label = TrajectoryLabel(.mended, note: note, mended: mended)
        case let word:
            guard let kind = TrajectoryLabel.Kind(rawValue: word) else {
                throw APIError.invalid("a label is good, bad or mended", param: "label")
            }
            label = TrajectoryLabel(kind, note: note)
        }
        try await place.run.label(label, id: place.id, in: place.set)
        return Response.see(place.run.address(of: place.id, in: place.set))
    }

    private static let longestNote = 2000

    private func mend(_ form: StudioForm, _ place: TrajectoryPage.Address) async throws -> Response {
        let entry = try await place.entry()
        guard let mended = try TrajectoryMending.mended(entry.label?.mended ?? entry.trajectory, form) else {
            return Response.see(place.run.address(of: place.id, in: place.set))
        }
        let label = TrajectoryLabel(.mended, note: entry.label?.note ?? "", mended: mended)
        try await place.run.label(label, id: place.id, in: place.set)
        return Response.see(place.run.address(of: place.id, in: place.set, [("mended", "1")]))
    }
}
