/// The page's script: links open their targets, and trajectories can be searched.
enum ReportScript {
    static let source = """
        function reveal(){var e=location.hash&&document.getElementById(decodeURIComponent(location.hash.slice(1)));\
        for(var p=e;p;p=p.parentElement)if(p.tagName==="DETAILS")p.open=true;\
        if(e){e.scrollIntoView();var s=e.querySelector("summary");(s||e).focus({preventScroll:true})}}
        addEventListener("hashchange",reveal);reveal();
        (function(){var show=document.getElementById("show"),find=document.getElementById("find"),\
        found=document.getElementById("found"),timer;
        function look(){var kind=show.value,words=find.value.trim().toLowerCase(),count=0;
        document.querySelectorAll("details.group").forEach(function(group){var here=0;
        group.querySelectorAll(":scope>details.run").forEach(function(run){
        var fits=(!kind||run.classList.contains(kind))&&(!words||run.textContent.toLowerCase().includes(words));
        run.hidden=!fits;if(fits)here++});group.hidden=!here;count+=here});
        found.textContent=kind||words?count+" found":""}
        show.addEventListener("change",look);
        find.addEventListener("input",function(){clearTimeout(timer);timer=setTimeout(look,200)});
        show.form.addEventListener("submit",function(event){event.preventDefault();look()});look()})();
        """
}
